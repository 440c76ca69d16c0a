//! The launcher and what it starts: nothing outlives a run, and a run does not depend on it to end in time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::site::{Far, Site};
use needs::needs;

/// A host that says where it is, and then nothing.
fn hanging() -> Site {
    Site::new(&[("web", Far::Script("echo $$ >\"$TMPDIR/there\"; exec sleep 300".to_owned()))])
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The processes of this machine whose command line has this in it.
fn processes(argument: &str) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(argument)
    });
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

/// A run that waits for the host, with its connection open.
fn started(site: &Site, arguments: &[&str]) -> Child {
    let run = site.driftlock(&[&["check", "--server", "web", "--json"], arguments].concat());
    let path = run.command.get_envs().find(|(key, _)| *key == "PATH").unwrap().1.unwrap().to_owned();
    // Under `nohup`, or behind a `&`, the tests have signals ignored, and so would the run.
    let mut defaults = Command::new("env");
    defaults.arg("--default-signal=HUP,INT,TERM").arg(run.command.get_program()).args(run.command.get_args());
    let mut run = site.world.command(defaults).env("PATH", path.to_str().unwrap());
    let child = run.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait("the server is asked", || site.world.path("far-tmp/there").exists());
    assert!(!connections(site).is_empty());
    child
}

/// Every `ssh` of this site.
fn connections(site: &Site) -> Vec<u32> {
    processes(site.world.path("ssh_config").to_str().unwrap())
}

/// The launcher of a run.
fn launcher(run: &Child) -> u32 {
    let children: PathBuf = format!("/proc/{0}/task/{0}/children", run.id()).into();
    let children = fs::read_to_string(children).unwrap();
    let [launcher] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{children}") };
    launcher.parse().unwrap()
}

fn signal(signal: &str, process: u32) {
    assert!(Command::new("kill").arg(signal).arg(process.to_string()).status().unwrap().success());
}

/// What the run says of its only server.
fn problem(run: Child) -> String {
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["overall"], "FAIL");
    report["checks"][1]["trouble"]["problem"].as_str().unwrap().to_owned()
}

#[needs(sshd)]
fn a_run_that_is_killed_leaves_no_ssh_behind() {
    let site = hanging();
    for by in ["-INT", "-TERM", "-HUP", "-KILL"] {
        let run = started(&site, &[]);
        let launcher = launcher(&run);
        signal(by, run.id());
        let ended = run.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), None, "{by}: {}", String::from_utf8_lossy(&ended.stdout));
        wait("its ssh ends", || connections(&site).is_empty());
        wait("its launcher ends", || !PathBuf::from(format!("/proc/{launcher}")).exists());
        fs::remove_file(site.world.path("far-tmp/there")).unwrap();
    }
}

#[needs(sshd)]
fn a_launcher_that_is_killed_takes_its_ssh_along_and_the_run_says_so() {
    let site = hanging();
    let run = started(&site, &[]);
    let began = Instant::now();
    signal("-KILL", launcher(&run));
    let problem = problem(run);
    assert!(problem.contains("the launcher, which starts ssh, is gone"), "{problem}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    wait("its ssh ends", || connections(&site).is_empty());
}

#[needs(sshd)]
fn a_launcher_that_hangs_holds_no_run_up() {
    let site = hanging();
    // Time enough to stop it, on a machine that does much else.
    let run = started(&site, &["--idle-timeout", "10"]);
    let began = Instant::now();
    let launcher = launcher(&run);
    signal("-STOP", launcher);
    let problem = problem(run);
    assert!(problem.starts_with("it sent nothing for 10 seconds"), "{problem}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    signal("-KILL", launcher);
    wait("its ssh ends", || connections(&site).is_empty());
}

/// More than a pipe and the buffers of `ssh` hold, before the answer and behind it.
#[needs(sshd)]
fn much_output_on_stderr_does_not_block() {
    let script = format!(
        "yes noise | head -c 6000000 >&2; {} \"$@\"; code=$?; yes more | head -c 6000000 >&2; exit $code",
        env!("CARGO_BIN_EXE_driftlock")
    );
    let site = Site::new(&[("web", Far::Script(script))]);
    site.driftlock(&["check", "--server", "web", "--idle-timeout", "10"]).code(0);
}

/// `ssh` asks for passwords on the terminal, whatever its own streams are; that of a jump host knows nothing of our
/// options.
#[needs(sshd)]
fn nothing_that_is_started_has_a_terminal() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let run = site.driftlock(&["check", "--server", "web"]);
    let ssh = site.world.path("bin/ssh");
    let spy = format!(
        "#!/bin/sh\nif (: </dev/tty) 2>/dev/null; then echo a terminal; else echo none; fi >{0}\n\
         echo \"$SSH_ASKPASS_REQUIRE\" >>{0}\n{1}",
        site.world.path("spied").display(),
        fs::read_to_string(&ssh).unwrap().split_once('\n').unwrap().1
    );
    fs::write(&ssh, spy).unwrap();
    let path = run.command.get_envs().find(|(key, _)| *key == "PATH").unwrap().1.unwrap().to_owned();
    // With a terminal, as for a person.
    let mut script = Command::new("script");
    script.args(["-qec", concat!(env!("CARGO_BIN_EXE_driftlock"), " check --server web"), "/dev/null"]);
    site.world.command(script).env("PATH", path.to_str().unwrap()).env("SHELL", "/bin/sh").code(0);
    assert_eq!(fs::read_to_string(site.world.path("spied")).unwrap(), "none\nnever\n");
}
