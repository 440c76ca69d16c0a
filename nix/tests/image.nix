# For scripts/test-systemd: the image of ../image.nix with a given static binary, assembled by hand because the nixpkgs
# here has no dockerTools. Its contents and configuration come from ../image.nix.
{
  # A nixpkgs tree.
  nixpkgs,
  # A driftlock executable, statically linked.
  binary,
}:
let
  pkgs = import nixpkgs { };
  image = import ../image.nix {
    dockerTools.buildLayeredImage = arguments: arguments;
    driftlock =
      pkgs.runCommand "driftlock" {
        binary = builtins.path {
          name = "driftlock-binary";
          path = binary;
        };
      } "install -D -m 755 $binary $out/bin/driftlock"
      // {
        version = "0";
        meta = {
          description = "";
          homepage = "";
        };
      };
  };
in
pkgs.runCommand "driftlock-image.tar"
  {
    inherit (image) contents;
    config = builtins.toJSON {
      architecture = "amd64";
      os = "linux";
      inherit (image) config;
      rootfs = {
        type = "layers";
        diff_ids = [ "sha256:LAYER" ];
      };
    };
    manifest = builtins.toJSON [
      {
        Config = "config.json";
        RepoTags = [ "${image.name}:${image.tag}" ];
        Layers = [ "layer.tar" ];
      }
    ];
    passAsFile = [
      "config"
      "manifest"
    ];
  }
  ''
    mkdir image root
    for package in $contents; do cp -r $package/. root/; done
    chmod -R u+w root
    (cd root; ${image.extraCommands})
    tar --create --file image/layer.tar --directory root --owner 0 --group 0 .
    sed "s/LAYER/$(sha256sum image/layer.tar | cut -d ' ' -f 1)/" $configPath >image/config.json
    cp $manifestPath image/manifest.json
    tar --create --file $out --directory image .
  ''
