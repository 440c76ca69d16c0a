# Common settings of the units that only start other units.
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
