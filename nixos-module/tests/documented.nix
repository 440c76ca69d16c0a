# The module's options and whether each has a description and an example, read from the module's own files
# with the few functions of nixpkgs' lib that declaring options takes. So it runs wherever Nix does:
#
#   nix-instantiate --eval --strict --json nixos-module/tests/documented.nix
let
  # A type is the options of the submodule in it, if there is one.
  plain = { };
  within = type: type;
  types = {
    attrsOf = type: type // { named = true; };
    listOf = within;
    nullOr = within;
    submodule = module: {
      inherit
        (
          (
            if builtins.isFunction module then
              module {
                name = "<name>";
                config = { };
              }
            else
              module
          )
        )
        options
        ;
    };
    enum = _: plain;
    bool = plain;
    package = plain;
    path = plain;
    str = plain;
    strMatching = _: plain;
    ints.positive = plain;
  };
  lib = {
    inherit types;
    literalExpression = text: text;
    mkOption = option: option // { isOption = true; };
    mkIf = _: _: { };
    mapAttrs = builtins.mapAttrs;
    hasPrefix = _: _: false;
    any = _: _: false;
    # Reached by the parts that make units, which declare no options.
    filterAttrs = _: _: { };
  };
  module = import ../. {
    inherit lib;
    config.services.driftlock.instances = { };
    pkgs.formats.json = _: { type = plain; };
    utils.systemdUtils = {
      unitOptions.unitOption = plain;
      lib.unitNameType = plain;
    };
  };

  list =
    prefix: options:
    builtins.concatMap (
      name:
      let
        option = options.${name};
        here = prefix ++ [ name ];
        inside = option.type or plain;
      in
      if option ? isOption then
        [
          {
            name = builtins.concatStringsSep "." here;
            described = option ? description && builtins.stringLength option.description > 20;
            exemplified = option ? example;
          }
        ]
        ++ (
          if inside ? options then
            list (here ++ (if inside ? named then [ "<name>" ] else [ ])) inside.options
          else
            [ ]
        )
      else
        list here option
    ) (builtins.attrNames options);
in
list [ ] module.options
