//! `--push`: servers that have no driftlock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::site::{Far, Site};
use needs::needs;

/// The program as a static build: the library that the tests are built with, linked once more, without a C library
/// beside it.
fn static_build() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(link_statically)
}

fn link_statically() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_driftlock")).parent().unwrap();
    let deps = built.join("deps");
    let libraries = fs::read_dir(&deps).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("libdriftlock-") && name.ends_with(".rlib")
    });
    let newest = libraries.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driftlock-static");
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition",
        "2024",
        "--crate-name",
        "driftlock",
        "-C",
        "target-feature=+crt-static",
        "-C",
        "strip=symbols",
    ]);
    rustc.arg("--extern").arg(format!("driftlock={}", newest.display()));
    rustc.arg("-L").arg(format!("dependency={}", deps.display())).arg("-o").arg(&program);
    let output = rustc.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/main.rs")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

/// What is left in the directory for temporary files of the far end.
fn left(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.world.path("far-tmp")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[needs(landlock, sshd)]
fn a_program_is_sent_run_and_removed() {
    let site = Site::new(&[("web", Far::Nothing), ("db", Far::Nothing)]);
    let program = static_build();
    let push = ["check", "--server", "web", "--push-binary", program.to_str().unwrap()];
    site.driftlock(&push).code(0);
    let export = ["export", "--output", "out", "--server", "web", "--push-binary", program.to_str().unwrap()];
    site.driftlock(&export).code(0);
    assert_eq!(fs::read(site.world.path("out/locks/tree.lock.json")).unwrap(), site.world.lock_bytes());
    assert_eq!(left(&site), [""; 0]);
    site.world.write("module/a.py", "changed\n");
    let report = site.driftlock(&[&push[..], &["--json", "--require-sandbox"]].concat()).code(1).json();
    assert_eq!(report["server"]["driftlock"], env!("CARGO_PKG_VERSION"));
    assert_eq!(left(&site), [""; 0]);
    // A static driftlock sends itself.
    fs::create_dir(site.world.path("own")).unwrap();
    let mut itself = site.driftlock(&[]);
    let path = itself.command.get_envs().find(|(key, _)| *key == "PATH").unwrap().1.unwrap().to_owned();
    itself.command = Command::new(program);
    itself.command.args(["check", "--push", "--server", "web", "--server", "db"]);
    let itself = site.world.command(itself.command).env("PATH", path.to_str().unwrap());
    itself.code(1);
    assert_eq!(left(&site), [""; 0]);

    // After a failure there: the root is not to be had.
    fs::rename(site.world.path("root"), site.world.path("gone")).unwrap();
    site.driftlock(&push).code(2);
    assert_eq!(left(&site), [""; 0]);
}

#[needs(sshd)]
fn what_can_not_run_everywhere_is_not_sent() {
    let site = Site::new(&[("web", Far::Nothing)]);
    let refused = site.driftlock(&["check", "--server", "web", "--push"]).code(2).stderr();
    assert!(refused.contains("needs a dynamic loader") && refused.contains("--push-binary"), "{refused}");
    // One that is static, and of no use there: it is sent, and says so.
    fs::write(site.world.path("false.c"), "int main(void) { return 1; }\n").unwrap();
    compile(&site, "false");
    let report = site.driftlock(&["check", "--server", "web", "--json", "--push-binary", "false"]).code(2).json();
    let problem = report["checks"][1]["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("the program does not run on this machine"), "{problem}");
    assert_eq!(left(&site), [""; 0]);
}

/// The connection is cut while the program runs: the shell that waits for it removes it.
#[needs(sshd)]
fn a_connection_that_is_cut_leaves_nothing_behind() {
    let site = Site::new(&[("web", Far::Nothing)]);
    // It answers without end, until its stdout is closed.
    fs::write(
        site.world.path("endless.c"),
        "#include <stdio.h>\n#include <unistd.h>\n#include <string.h>\n\
         int main(int n, char **v) { if (n > 1 && !strcmp(v[1], \"--version\")) return 0;\n\
         while (puts(\"x\") >= 0 && fflush(stdout) == 0) usleep(20000); return 2; }\n",
    )
    .unwrap();
    compile(&site, "endless");
    // What it sends is no answer, so this side hangs up at once.
    site.driftlock(&["check", "--server", "web", "--push-binary", "endless"]).code(2);
    wait_until_nothing_is_left(&site);
}

/// The same while the program is on its way.
#[needs(sshd)]
fn a_transfer_that_is_cut_leaves_nothing_behind() {
    let site = Site::new(&[("whole", Far::Nothing)]);
    large(&site, "large");
    let cut = site.cut("web", 0, 2_000_000, u64::MAX);
    let problem = problem(&site, &["--push-binary", "large"]);
    assert_eq!(cut.join().unwrap().0, 2_000_000);
    assert!(problem.starts_with("it sent nothing, and ssh failed"), "{problem}");
    wait_until_nothing_is_left(&site);
}

#[needs(sshd, mounts)]
fn a_full_disk_is_told_and_left_as_it_was() {
    let site = Site::new(&[("web", Far::Nothing)]);
    large(&site, "large");
    let tmp = site.world.path("far-tmp");
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&tmp);
    assert!(mount.status().unwrap().success());
    let mut command = site.driftlock(&["check", "--server", "web", "--json", "--push-binary", "large"]).command;
    let output = command.output().unwrap();
    let left = left(&site);
    assert!(Command::new("umount").arg(&tmp).status().unwrap().success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problem = report["checks"][1]["trouble"]["problem"].as_str().unwrap();
    assert!(problem.contains("No space left") && problem.contains("could not be written to"), "{problem}");
    assert_eq!((output.status.code(), left), (Some(2), Vec::new()));
}

#[needs(sshd)]
fn a_server_without_the_tools_says_which() {
    let site = Site::new(&[("web", Far::Only(&["sh", "cat", "chmod", "rm", "wc"]))]);
    large(&site, "large");
    let problem = problem(&site, &["--push-binary", "large"]);
    assert!(problem.contains("it has no mktemp"), "{problem}");
}

/// What this process is made to send by a server that it has asked does not run on another.
#[needs(sshd)]
fn another_program_than_was_meant_is_not_run() {
    let site = Site::new(&[("web", Far::Nothing)]);
    fs::write(
        site.world.path("marked.c"),
        "volatile const char mark[] = \"marked: one\";\nint main(void) { return mark[0]; }\n",
    )
    .unwrap();
    compile(&site, "marked");
    let arguments = ["--push-binary", "marked"];
    assert!(problem(&site, &arguments).contains("the program does not run on this machine"));
    let ssh = fs::read_to_string(site.world.path("bin/ssh")).unwrap();
    let ssh = ssh.replace("exec ", "LC_ALL=C sed 's/marked: one/marked: two/' | exec ");
    fs::write(site.world.path("bin/ssh"), ssh).unwrap();
    let problem = problem(&site, &arguments);
    assert!(problem.contains("the program that arrived is not the one that was sent"), "{problem}");
    assert_eq!(left(&site), [""; 0]);
}

/// The user there may have any shell.
#[needs(sshd)]
fn every_shell_hands_the_script_on() {
    let shells = ["bash", "busybox sh", "fish", "tcsh", "zsh"];
    let names = shells.map(|shell| shell.replace(' ', "-"));
    let hosts: Vec<_> = shells
        .iter()
        .zip(&names)
        .map(|(shell, name)| (&**name, Far::Forced(format!("exec {shell} -c \"$SSH_ORIGINAL_COMMAND\""))))
        .collect();
    let site = Site::new(&hosts);
    let program = static_build();
    let mut arguments = vec!["check", "--json", "--push-binary", program.to_str().unwrap()];
    names.iter().for_each(|name| arguments.extend(["--server", name]));
    let fleet = site.driftlock(&arguments).code(0).json();
    assert_eq!(fleet["summary"]["passed"], shells.len());
    assert_eq!(left(&site), [""; 0]);
    // Those that have it need nothing sent.
    arguments.drain(2..4);
    site.driftlock(&arguments).code(0);
}

/// What a run says of the host `web`.
fn problem(site: &Site, more: &[&str]) -> String {
    let report = site.driftlock(&[&["check", "--server", "web", "--json"], more].concat()).code(2).json();
    report["checks"][1]["trouble"]["problem"].as_str().unwrap().to_owned()
}

/// A static build of `NAME.c`.
fn compile(site: &Site, name: &str) {
    let mut cc = Command::new("cc");
    cc.args(["-static", "-o"]).arg(site.world.path(name)).arg(site.world.path(format!("{name}.c")));
    assert!(cc.status().unwrap().success());
}

/// A program of more than four million bytes.
fn large(site: &Site, name: &str) {
    let start = "const char large[1 << 22] = {1}; int main(int n, char **v) { return large[n]; }\n";
    fs::write(site.world.path(format!("{name}.c")), start).unwrap();
    compile(site, name);
    assert!(fs::metadata(site.world.path(name)).unwrap().len() > 1 << 22);
}

fn wait_until_nothing_is_left(site: &Site) {
    let started = std::time::Instant::now();
    while !left(site).is_empty() {
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "{:?}", left(site));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[needs(sshd, mounts)]
fn a_file_system_that_lets_no_program_run_is_passed_over() {
    let site = Site::new(&[("web", Far::Nothing)]);
    let program = static_build();
    let tmp = site.world.path("far-tmp");
    let mount = |arguments: &[&str]| {
        let mut mount = Command::new("mount");
        assert!(mount.args(arguments).arg(&tmp).status().unwrap().success());
    };
    mount(&["-t", "tmpfs", "-o", "noexec", "none"]);
    let run = site.driftlock(&["check", "--server", "web", "--push-binary", program.to_str().unwrap()]);
    // Unmounted whatever comes of it.
    let mut command = run.command;
    let output = command.output().unwrap();
    assert!(Command::new("umount").arg(&tmp).status().unwrap().success());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The program comes first on the connection, and the second request behind it.
#[needs(landlock, sshd)]
fn a_program_that_is_sent_gives_contents_too() {
    let site = Site::new(&[("web", Far::Nothing)]);
    let there = site.world.path("there");
    fs::create_dir_all(there.join("module")).unwrap();
    fs::write(there.join("module/a.py"), "changed\n").unwrap();
    fs::write(there.join("module/b.py"), "b\n").unwrap();
    let declaration = fs::read_to_string(site.world.path("driftlock.toml")).unwrap();
    let declaration = declaration.replace(site.world.path("root").to_str().unwrap(), there.to_str().unwrap());
    fs::write(site.world.path("driftlock.toml"), declaration).unwrap();
    let program = static_build().to_str().unwrap();
    let finished = site.driftlock(&["diff", "--patch", "--server", "web", "--push-binary", program]).code(1);
    assert!(finished.stdout().ends_with("@@ -1,1 +1,1 @@\n-a\n+changed\n"), "{}", finished.stdout());
    fs::write(there.join("module/a.py"), "a\n").unwrap();
    site.driftlock(&["diff", "--patch", "--server", "web", "--push-binary", program]).code(0);
    assert_eq!(left(&site), [""; 0]);
}
