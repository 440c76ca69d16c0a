//! Servers that can't be reached, or stop in the middle: each is told as what it is, in bounded time, and is no pass.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::super::harness::the_check;
use super::site::{Far, Site, free_port};
use needs::needs;

/// Checks the host `web`, which fails; gives problem and remedy.
pub fn fails(site: &Site, more: &[&str]) -> (String, String) {
    let arguments = [&["check", "--server", "web", "--json"], more].concat();
    let started = Instant::now();
    let report = site.driftlock(&arguments).code(2).json();
    assert!(started.elapsed() < Duration::from_secs(45), "took {:?}", started.elapsed());
    assert_eq!(report["overall"], "FAIL");
    let collection = &report["checks"][1];
    assert_eq!((&collection["name"], &collection["status"]), (&"server_collection".into(), &"FAIL".into()));
    assert_eq!(
        (&the_check(&report)["status"], &the_check(&report)["skipped"]),
        (&"SKIP".into(), &"not_collected".into())
    );
    let text = |key: &str| collection["trouble"][key].as_str().unwrap().to_owned();
    (text("problem"), text("remedy"))
}

#[needs(sshd)]
fn a_refused_key_asks_for_no_password() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let stranger = site.world.path("stranger_key");
    fs::write(site.world.path("authorized_keys"), fs::read(site.world.path("other_key.pub")).unwrap()).unwrap();
    let (problem, remedy) = fails(&site, &["--ssh-key", stranger.to_str().unwrap()]);
    assert!(problem.contains("Permission denied"), "{problem}");
    assert!(remedy.contains("authorized_keys"), "{remedy}");
    // Who was tried, and how to be another.
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    let tried = format!("log in as another user than {} with --ssh-user or `user` in the declaration", user.trim());
    assert!(remedy.starts_with(&tried), "{remedy}");
    let (_, remedy) = fails(&site, &["--ssh-key", stranger.to_str().unwrap(), "--ssh-user", "ubuntu"]);
    assert!(remedy.starts_with("log in as another user than ubuntu "), "{remedy}");
}

#[needs(sshd)]
fn no_server_listens() {
    let site = Site::new(&[("away", Far::Driftlock)]);
    site.alias("web", free_port());
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.contains("refused") && remedy.contains("sshd"), "{problem}: {remedy}");
}

#[needs(sshd)]
fn a_host_that_accepts_and_says_nothing() {
    let site = Site::new(&[("away", Far::Driftlock)]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    site.alias("web", silent.local_addr().unwrap().port());
    let (problem, remedy) = fails(&site, &["--connect-timeout", "1"]);
    assert!(problem.contains("timed out"), "{problem}");
    assert!(remedy.contains("--connect-timeout"), "{remedy}");
}

#[needs(sshd)]
fn a_host_that_hangs_after_the_login() {
    // It ignores what asks it to end, too.
    let site = Site::new(&[("web", Far::Script("trap '' HUP TERM PIPE; sleep 300".to_owned()))]);
    let (problem, remedy) = fails(&site, &["--idle-timeout", "2"]);
    assert!(problem.starts_with("it sent nothing for 2 seconds"), "{problem}");
    assert!(remedy.contains("--idle-timeout"), "{remedy}");
}

#[needs(sshd)]
fn a_host_that_is_alive_and_never_done() {
    let script = "read -r request; echo '{\"driftlock_collect\":5,\"driftlock\":\"1\",\"landlock\":null,\"seccomp\":false}'\n\
                  while echo '{\"progress\":{\"entries\":0,\"bytes\":0}}'; do sleep 0.1; done";
    let site = Site::new(&[("web", Far::Script(script.to_owned()))]);
    let (problem, remedy) = fails(&site, &["--timeout", "3"]);
    assert!(problem.starts_with("it had not finished after 3 seconds"), "{problem}");
    assert!(remedy.contains("--timeout"), "{remedy}");
}

#[needs(sshd)]
fn a_connection_that_is_cut_in_the_middle() {
    let site = Site::new(&[("away", Far::Driftlock)]);
    for number in 0..4000 {
        site.world.write(format!("module/with/a/long/path/so/that/the/answer/is/long/{number}"), "");
    }
    site.world.lock();
    // The handshake takes some ten thousand bytes, the answer more than half a million.
    let cut = site.cut("web", 0, u64::MAX, 200_000);
    let (problem, remedy) = fails(&site, &[]);
    assert_eq!(cut.join().unwrap().1, 200_000);
    assert!(problem.starts_with("its answer ends early, after line"), "{problem}");
    assert!(!remedy.is_empty());
    // The same server, without the cut.
    site.driftlock(&["check", "--server", "away"]).code(0);
}

#[needs(sshd)]
fn a_host_without_driftlock() {
    let site = Site::new(&[("web", Far::Nothing)]);
    let (problem, remedy) = fails(&site, &[]);
    assert!(problem.starts_with("it has no driftlock to start"), "{problem}");
    assert!(remedy.contains("--push"), "{remedy}");
}

#[needs(sshd)]
fn no_ssh_on_this_machine() {
    let site = Site::new(&[]);
    let report = site.world.driftlock(["check", "--server", "web", "--json"]).env("PATH", "/nowhere").code(2).json();
    assert!(report["checks"][1]["trouble"]["problem"].as_str().unwrap().starts_with("ssh could not be started"));
}

/// What is written is not read, so that a request finds a full pipe.
#[needs(sshd)]
fn a_host_that_closes_at_once() {
    let site = Site::new(&[("away", Far::Driftlock)]);
    let rude = TcpListener::bind("127.0.0.1:0").unwrap();
    site.alias("web", rude.local_addr().unwrap().port());
    let closing = std::thread::spawn(move || {
        let (mut stream, _) = rude.accept().unwrap();
        stream.write_all(b"SSH-2.0-rude\r\n").unwrap();
    });
    let (problem, _) = fails(&site, &[]);
    closing.join().unwrap();
    assert!(problem.contains("ssh failed"), "{problem}");
}

/// What `ssh` says is kept apart from what a server says to everybody who comes, and from what configuration makes of it.
#[needs(sshd)]
fn a_banner_is_no_reason() {
    let site = Site::new(&[("web", Far::Driftlock)]);
    let config = fs::read_to_string(site.world.path("ssh_config")).unwrap();
    fs::write(site.world.path("ssh_config"), format!("LogLevel QUIET\n{config}")).unwrap();
    fs::write(site.world.path("authorized_keys"), "").unwrap();
    let (problem, _) = fails(&site, &[]);
    assert!(problem.contains("Permission denied"), "{problem}");
}
