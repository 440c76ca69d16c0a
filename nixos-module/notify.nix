# driftlock-notify-<name>.service, started by OnSuccess= and OnFailure= of the checking unit. It has what that unit must
# not have: the network and the secret. It only reads the reports, and stores what it has sent.
{
  lib,
  pkgs,
  utils,
  name,
  title,
  instance,
  state,
  package,
}:
let
  inherit (instance) notify;
  # A value in Environment=, where "%" begins a specifier.
  literal = lib.replaceStrings [ "%" ] [ "%%" ];
in
{
  description = "Send alerts about driftlock's ${title}";
  documentation = [ "man:driftlock(1)" ];
  wants = [ "network-online.target" ];
  after = [ "network-online.target" ];
  restartIfChanged = false;
  # No limit: it starts as often as checks run.
  startLimitIntervalSec = 0;
  path = [
    package
    pkgs.coreutils
    pkgs.curl
    pkgs.jq
    pkgs.util-linux
  ];

  environment = {
    REPORT = "${state}/latest";
    # Shared by the full and the incremental check, so that the two do not send the same alert twice.
    STATE = "/var/lib/driftlock-notify/${name}";
    TITLE = if notify.title == null then "%H ${name}" else literal notify.title;
    ON = lib.concatStringsSep " " notify.on;
    REMIND_AFTER = if notify.remindAfter == null then "" else notify.remindAfter;
  }
  // lib.optionalAttrs (notify.webhookUrlFile != null) {
    WEBHOOK_URL_FILE = "%d/webhook";
  }
  // lib.optionalAttrs (notify.mail != null) {
    MAIL_TO = literal (lib.concatStringsSep ", " notify.mail.to);
    MAIL_FROM = literal notify.mail.from;
    SENDMAIL = literal notify.mail.sendmail;
  };

  serviceConfig =
    import ./confined.nix
    // {
      Type = "oneshot";
      ExecStart = utils.escapeSystemdExecArgs [
        (lib.getExe' pkgs.bash "bash")
        "${./notify.sh}"
      ];
      LoadCredential = lib.optional (notify.webhookUrlFile != null) "webhook:${notify.webhookUrlFile}";
      # It retries for 15 minutes.
      TimeoutStartSec = "30min";
      LogExtraFields = "DRIFTLOCK_INSTANCE=${name}";

      User = "driftlock-notify";
      Group = "driftlock-notify";
      SupplementaryGroups = [ instance.group ];
      StateDirectory = "driftlock-notify/${name}";
      StateDirectoryMode = "0700";

      # A mail system's sendmail may need the rights of its own group to submit a mail.
      NoNewPrivileges = notify.mail == null;
      RestrictSUIDSGID = notify.mail == null;
      # The queue of the mail system must be reachable.
      ProtectSystem = if notify.mail == null then "strict" else "full";
      RestrictAddressFamilies = [
        "AF_INET"
        "AF_INET6"
        "AF_UNIX"
      ];
    }
    // lib.optionalAttrs (notify.mail == null) {
      SystemCallErrorNumber = "EPERM";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
        # driftlock renders the report in its own sandbox.
        "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp prctl openat2 setrlimit prlimit64"
      ];
    };
}
