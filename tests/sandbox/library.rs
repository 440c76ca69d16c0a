//! `driftlock::check`, as a program calls it: a baseline has to be sealed where the machine has allowed signers.

use std::fs;
use std::path::Path;
use std::process::Command;

use driftlock::{Plan, check};

use crate::machine::{self, Has};
use crate::scene::{LAYERS, Layers, PLACE, PORT, TASK, said};

/// What the case below takes: a mount over `/etc`, and a key.
pub fn signers() -> Has {
    machine::mounts()?;
    ["bash", "mount", "ssh-keygen", "unshare"].into_iter().try_for_each(machine::program)
}

pub fn a_check_verifies_the_seal() {
    let directory = tempfile::Builder::new().prefix("driftlock-test-").tempdir().expect("a temporary directory");
    let place = directory.path();
    let bash = |script: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-ec", script]).current_dir(place).env("DRIFTLOCK", env!("CARGO_BIN_EXE_driftlock"));
        let output = bash.output().expect("bash");
        assert!(output.status.success(), "{script}: {output:?}");
    };
    // What every child opens, too.
    bash("mkdir -p root/m out etc/driftlock && echo 1 >root/m/a && ssh-keygen -q -t ed25519 -N '' -f key");
    fs::write(place.join("driftlock.toml"), "locks = \"locks\"\n[check.tree]\nkind = \"trees\"\nroot = \"root\"\n")
        .expect("a declaration");
    bash("\"$DRIFTLOCK\" lock && \"$DRIFTLOCK\" seal --key key");
    let checked = |mounts: &str| {
        let script = format!("{mounts} exec \"$0\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", &script]);
        command.arg(std::env::current_exe().expect("the path of this test")).current_dir(place);
        command.env(TASK, "library:check").env(LAYERS, Layers::None.name()).env(PLACE, place).env(PORT, "0");
        said(command)
    };
    let with = "mount --bind etc /etc;";
    // Without a file of allowed signers, no seal is asked for.
    assert_eq!(checked("mkdir empty; mount --bind empty /etc;"), "0: no seal");
    bash("echo \"ops@example.org $(cat key.pub)\" >etc/driftlock/allowed_signers");
    assert_eq!(checked(with), "0: serial 1 of ops@example.org, []");
    bash("echo 1 >root/m/backdoor");
    assert_eq!(checked(with), "1: serial 1 of ops@example.org, []");
    bash("\"$DRIFTLOCK\" lock");
    let refused = "the lock locks/tree.lock.json is not the one that was sealed";
    assert_eq!(checked(with), format!("2: serial 1 of ops@example.org, [{refused:?}]"));
    bash("\"$DRIFTLOCK\" seal --key key");
    assert_eq!(checked(with), "0: serial 2 of ops@example.org, []");
    bash("rm locks/driftlock.seal.sig");
    let unsigned = checked(with);
    assert!(unsigned.starts_with("2: not sealed, [") && unsigned.contains("driftlock.seal.sig"), "{unsigned}");
}

/// The child: the code and the seal of a report.
pub fn run(place: &Path) {
    let report = check(&Plan::of(place.join("driftlock.toml"))).expect("a report");
    let code = report.exit_code();
    let Some(seal) = &report.hosts[0].seal else {
        println!("{code}: no seal");
        return;
    };
    let sealed = match &seal.sealed {
        Some(sealed) => format!("serial {} of {}", sealed.serial, sealed.signer),
        None => "not sealed".to_owned(),
    };
    let troubles: Vec<_> = seal.troubles.iter().map(ToString::to_string).collect();
    println!("{code}: {sealed}, {troubles:?}");
}
