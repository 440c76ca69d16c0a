# What the units have in common that start other units, and do nothing else.
import ./confined.nix
// {
  Type = "oneshot";
  IPAddressDeny = "any";
  NoNewPrivileges = true;
  PrivateNetwork = true;
  ProtectSystem = "strict";
  RestrictAddressFamilies = [ "AF_UNIX" ];
  RestrictSUIDSGID = true;
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
}
