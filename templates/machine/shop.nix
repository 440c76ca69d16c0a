# The rest of the machine. Put your own hardware-configuration.nix in the place of the file system below.
{
  networking.hostName = "shop";
  system.stateVersion = "26.05";
  boot.loader.grub.device = "/dev/vda";
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };

  # What the check reads on the machine. A deploy of yours puts it there; here, systemd copies it once.
  systemd.tmpfiles.rules = [ "C /srv/stacks - - - - ${./stacks}" ];
}
