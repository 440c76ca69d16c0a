//! `nixos-module/notify.sh`, the recipes of docs/alerting.md and the workflow of docs/ci.md, against a real HTTP server on
//! loopback, and a program in the place of sendmail.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests open what they like by name")]

mod machine;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use needs::needs;
use serde_json::Value;
use tempfile::TempDir;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// Keeps each body that is posted to it in a file of its own, and answers with the numbers in `answers`, then with 200.
const SINK: &str = r#"
import http.server, os, sys
class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = open("answers").read().split()
        open("answers", "w").write(" ".join(answers[1:]))
        answer = int(answers[0]) if answers else 200
        if answer == 200:
            open(f"told/{len(os.listdir('told')):03}", "wb").write(body)
        self.send_response(answer)
        self.end_headers()
    def log_message(self, *_): pass
os.chdir(sys.argv[1])
server = http.server.HTTPServer(("127.0.0.1", 0), Sink)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A machine with a declaration and a recipient of alerts, and nothing else in the environment.
struct Machine {
    folder: TempDir,
    sink: Child,
    url: String,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.sink.kill();
        let _ = self.sink.wait();
    }
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap();
        for directory in ["bin", "root", "state", "told", "mails"] {
            fs::create_dir(folder.path().join(directory)).unwrap();
        }
        let declaration =
            "reports = \"reports\"\n[check.config]\nkind = \"files\"\nroot = \"root\"\ninclude = [\"**\"]\n";
        fs::write(folder.path().join("driftlock.toml"), declaration).unwrap();
        fs::write(folder.path().join("answers"), "").unwrap();
        symlink(env!("CARGO_BIN_EXE_driftlock"), folder.path().join("bin/driftlock")).unwrap();
        let sendmail =
            "#!/bin/sh\nmails=$(dirname \"$0\")/../mails\n{ echo \"$*\"; cat; } >\"$mails/$(ls \"$mails\" | wc -l)\"\n";
        fs::write(folder.path().join("bin/sendmail"), sendmail).unwrap();
        fs::set_permissions(folder.path().join("bin/sendmail"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut python = Command::new("python3");
        let sink = python.args(["-c", SINK]).arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut sink = sink.spawn().expect("this test needs python3");
        let mut port = String::new();
        BufReader::new(sink.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let url = format!("http://127.0.0.1:{}/hook", port.trim());
        fs::write(folder.path().join("url"), format!("{url}\n")).unwrap();
        let machine = Self { folder, sink, url };
        machine.write("as it should be");
        machine.driftlock(&["lock"], 0);
        machine
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    fn write(&self, content: &str) {
        fs::write(self.path("root/app.conf"), content).unwrap();
    }

    fn answer(&self, answers: &str) {
        fs::write(self.path("answers"), answers).unwrap();
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        command.current_dir(self.folder.path()).env_clear().env("PATH", path).env("no_proxy", "*").stdin(Stdio::null());
        command
    }

    fn driftlock(&self, arguments: &[&str], code: i32) {
        let output = self.command(env!("CARGO_BIN_EXE_driftlock")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }

    /// Checks, and makes the report the latest, as the NixOS module does.
    fn check(&self, arguments: &[&str], code: i32) {
        // Reports are told apart by their folders, and those by the second.
        self.driftlock(&[&["check", "--quiet"], arguments].concat(), code);
        self.link_latest();
    }

    fn link_latest(&self) {
        let mut reports: Vec<_> = fs::read_dir(self.path("reports"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_dir())
            .collect();
        reports.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let _ = fs::remove_file(self.path("latest"));
        symlink(reports.last().unwrap(), self.path("latest")).unwrap();
    }

    /// The script, with who is to be told.
    fn notify(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = self.command(Path::new(REPOSITORY).join("nixos-module/notify.sh"));
        command.env("REPORT", self.path("latest")).env("STATE", self.path("state")).env("TITLE", "shop-1");
        command.env("WEBHOOK_URL_FILE", self.path("url")).env("RETRIES", "0");
        for (name, value) in variables {
            command.env(name, value);
        }
        command.output().unwrap()
    }

    /// The script as systemd starts it after a check that ended so. It has to succeed.
    fn after(&self, result: &str, status: &str, variables: &[(&str, &str)]) {
        let end = [("MONITOR_SERVICE_RESULT", result), ("MONITOR_EXIT_STATUS", status)];
        let output = self.notify(&[&end, variables].concat());
        assert!(output.status.success(), "{output:?}");
    }

    fn after_code(&self, code: i32, variables: &[(&str, &str)]) {
        self.after(if code == 0 { "success" } else { "exit-code" }, &code.to_string(), variables);
    }

    /// Checks and tells.
    fn run(&self, code: i32, variables: &[(&str, &str)]) {
        self.check(&[], code);
        self.after_code(code, variables);
    }

    /// What was told by the webhook since the last time.
    fn told(&self) -> Vec<Value> {
        let mut names: Vec<_> = fs::read_dir(self.path("told")).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        let told = names.iter().map(|name| serde_json::from_slice(&fs::read(name).unwrap()).unwrap()).collect();
        names.iter().for_each(|name| fs::remove_file(name).unwrap());
        told
    }

    /// Makes sure that one message was told, whose text has these words.
    fn tells(&self, words: &[&str]) {
        let told = self.told();
        assert_eq!(told.len(), 1, "{words:?}: {told:#?}");
        let text = told[0]["text"].as_str().unwrap();
        for word in words {
            assert!(text.contains(word), "{word} in {text}");
        }
    }

    fn tells_nothing(&self) {
        assert_eq!(self.told(), Vec::<Value>::new());
    }
}

#[needs("bash", "python3", "curl", "jq")]
fn the_same_is_told_once_what_changed_is_told_and_so_is_that_it_is_over() {
    let machine = Machine::new();
    machine.run(0, &[]);
    machine.tells_nothing();
    machine.write("by hand");
    machine.run(1, &[]);
    machine.tells(&["`shop-1`: Drift: 1 entry drifted", "modified `root/app.conf`"]);
    machine.run(1, &[]);
    machine.tells_nothing();
    machine.write("by another hand");
    machine.run(1, &[]);
    machine.tells(&["`shop-1`: Drift"]);
    fs::write(machine.path("root/new"), "new").unwrap();
    machine.run(1, &[]);
    machine.tells(&["2 entries drifted", "added `root/new`"]);
    machine.run(1, &[]);
    machine.tells_nothing();
    // A deploy that locks.
    machine.driftlock(&["lock"], 0);
    machine.run(0, &[]);
    machine.tells(&["`shop-1, recovered`: No drift"]);
    machine.run(0, &[]);
    machine.tells_nothing();
}

#[needs("bash", "python3", "curl", "jq")]
fn it_is_told_again_after_a_while() {
    let machine = Machine::new();
    machine.write("by hand");
    machine.run(1, &[]);
    machine.tells(&["Drift"]);
    let days_ago = |days: &str| {
        let touch = machine.command("touch").args(["-d", days, "state/told"]).status().unwrap();
        assert!(touch.success());
    };
    days_ago("6 days ago");
    machine.run(1, &[("REMIND_AFTER", "7d")]);
    machine.tells_nothing();
    days_ago("8 days ago");
    machine.run(1, &[("REMIND_AFTER", "")]);
    machine.tells_nothing();
    machine.run(1, &[("REMIND_AFTER", "7d")]);
    machine.tells(&["`shop-1, still`: Drift"]);
    machine.run(1, &[("REMIND_AFTER", "7d")]);
    machine.tells_nothing();
}

#[needs("bash", "python3", "curl", "jq")]
fn drift_in_a_window_is_told_when_it_outlives_it_and_trouble_at_once() {
    let machine = Machine::new();
    let window = |until: &'static str| ["--expect-until", until, "--reason", "Odoo 18.0.7"];
    machine.write("by a deploy");
    machine.check(&window("2099-01-01T00:00:00Z"), 1);
    machine.after_code(1, &[]);
    machine.tells_nothing();
    machine.check(&window("2020-01-01T00:00:00Z"), 1);
    machine.after_code(1, &[]);
    machine.tells(&["Drift", "Drift was expected until 2020-01-01T00:00:00Z: `Odoo 18.0.7`"]);
    fs::rename(machine.path("root"), machine.path("away")).unwrap();
    machine.check(&window("2099-01-01T00:00:00Z"), 2);
    machine.after_code(2, &[]);
    machine.tells(&["Trouble", "the root root could not be opened"]);
}

#[needs("bash", "python3", "curl", "jq")]
fn only_what_was_asked_for_is_told() {
    let machine = Machine::new();
    machine.write("by hand");
    machine.run(1, &[("ON", "trouble recovered")]);
    machine.tells_nothing();
    machine.run(1, &[("ON", "drift")]);
    machine.tells(&["Drift"]);
    machine.write("as it should be");
    machine.run(0, &[("ON", "drift")]);
    machine.tells_nothing();
    // Nor later.
    machine.run(0, &[]);
    machine.tells_nothing();
}

#[needs("bash", "python3", "curl", "jq")]
fn a_run_without_a_verdict_is_trouble_whatever_the_report_before_it_says() {
    let machine = Machine::new();
    machine.run(0, &[]);
    // Killed; out of memory; a declaration that is refused. The report of the run before is still the latest.
    machine.after("signal", "KILL", &[]);
    machine.tells(&["`shop-1`: the check ended without a verdict (signal KILL), and left no report"]);
    machine.after("oom-kill", "KILL", &[]);
    machine.tells_nothing();
    machine.run(0, &[]);
    machine.tells(&["recovered"]);
    machine.after_code(2, &[]);
    machine.tells(&["without a verdict (exit-code 2)"]);
    machine.run(0, &[]);
    machine.tells(&["recovered"]);
    // An edited report does not count.
    machine.write("by hand");
    machine.check(&[], 1);
    let report = fs::read_to_string(machine.path("latest/drift_report.json")).unwrap();
    fs::write(machine.path("latest/drift_report.json"), report.replace("FAIL", "PASS")).unwrap();
    machine.after_code(1, &[]);
    machine.tells(&["without a verdict (exit-code 1)"]);
    // Nor is one that says more than its run.
    machine.run(1, &[]);
    machine.tells(&["Drift"]);
    machine.check(&[], 1);
    machine.after("exit-code", "2", &[]);
    machine.tells(&["without a verdict (exit-code 2)"]);
}

#[needs("bash", "python3", "curl", "jq")]
fn what_could_not_be_told_fails_and_is_told_by_the_next_run() {
    let machine = Machine::new();
    machine.write("by hand");
    machine.check(&[], 1);
    machine.answer("500");
    let end = [("MONITOR_SERVICE_RESULT", "exit-code"), ("MONITOR_EXIT_STATUS", "1")];
    let failed = machine.notify(&end);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(said.contains("500") && said.contains("notify: the webhook could not be sent"), "{said}");
    assert!(!said.contains(&machine.url), "the URL is a secret");
    machine.tells_nothing();
    // Started again by hand, or by the next run.
    machine.after_code(1, &[]);
    machine.tells(&["Drift"]);
    // Tried again, later each time.
    machine.write("by another hand");
    machine.check(&[], 1);
    machine.answer("503 503");
    let started = Instant::now();
    machine.after_code(1, &[("RETRIES", "2")]);
    assert!(started.elapsed() >= Duration::from_secs(3), "after one second, and after two more");
    machine.tells(&["Drift"]);
}

#[needs("bash", "python3", "curl", "jq")]
fn mail_is_sent_by_the_machines_sendmail() {
    let machine = Machine::new();
    fs::write(machine.path("root").join("é".repeat(120)), "long").unwrap();
    let mail = [
        ("WEBHOOK_URL_FILE", ""),
        ("MAIL_TO", "ops@example.org, dev@example.org"),
        ("MAIL_FROM", "driftlock@shop-1"),
        ("TITLE", "shop-1\nBcc: everybody@example.org"),
    ];
    machine.run(1, &mail);
    machine.run(1, &mail);
    machine.tells_nothing();
    let sent = fs::read_dir(machine.path("mails")).unwrap().count();
    assert_eq!(sent, 1);
    let text = fs::read_to_string(machine.path("mails/0")).unwrap();
    let (arguments, mail) = text.split_once('\n').unwrap();
    assert_eq!(arguments, "-t -i");
    let (head, body) = mail.split_once("\n\n").unwrap();
    let headers: Vec<_> = head.lines().map(|line| line.split_once(": ").unwrap()).collect();
    let value = |name: &str| headers.iter().find(|(header, _)| *header == name).unwrap().1;
    assert_eq!(value("To"), "ops@example.org, dev@example.org");
    assert_eq!(value("From"), "driftlock@shop-1");
    assert_eq!(value("Subject"), "shop-1 Bcc: everybody@example.org: drift");
    assert_eq!((value("Auto-Submitted"), value("Content-Transfer-Encoding")), ("auto-generated", "base64"));
    assert!(!headers.iter().any(|(header, _)| *header == "Bcc"), "{head}");
    assert!(text.lines().all(|line| line.len() < 998));
    let decoded = data_encoding::BASE64.decode(body.replace('\n', "").as_bytes()).unwrap();
    let decoded = String::from_utf8(decoded).unwrap();
    assert!(decoded.contains("OVERALL: FAIL") && decoded.contains(&"é".repeat(120)), "{decoded}");
}

#[needs("bash", "python3", "curl", "jq")]
fn what_is_wrong_with_its_settings_is_said() {
    let machine = Machine::new();
    machine.check(&[], 0);
    fs::write(machine.path("bad"), "file:///etc/passwd\n").unwrap();
    for (variables, said) in [
        (vec![("TITLE", "")], "TITLE is not set"),
        (vec![("ON", "drift all")], "all is none of drift, trouble, recovered"),
        (vec![("REMIND_AFTER", "a week")], "write a week as 90s, 30m, 24h or 7d"),
        (vec![("WEBHOOK_URL_FILE", "")], "neither WEBHOOK_URL_FILE nor MAIL_TO is set: there is no recipient"),
    ] {
        let output = machine.notify(&variables);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{output:?}");
    }
    machine.write("by hand");
    machine.check(&[], 1);
    let bad = machine.path("bad");
    let output = machine.notify(&[("WEBHOOK_URL_FILE", bad.to_str().unwrap())]);
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("does not contain a URL"),
        "{output:?}"
    );
}

/// The blocks of docs/alerting.md and docs/ci.md in a language.
fn recipes(language: &str) -> Vec<String> {
    let page =
        ["alerting", "ci"].map(|page| fs::read_to_string(format!("{REPOSITORY}/docs/{page}.md")).unwrap()).concat();
    let blocks = page.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| Some(block.strip_prefix(language)?.strip_prefix('\n')?.to_owned())).collect()
}

fn recipe(language: &str, word: &str) -> String {
    let mut found = recipes(language).into_iter().filter(|recipe| recipe.contains(word));
    let recipe = found.next().unwrap_or_else(|| panic!("no recipe with {word}"));
    assert_eq!(found.next(), None);
    recipe
}

#[needs("bash", "python3", "curl", "jq")]
fn the_recipe_for_cron_works() {
    let machine = Machine::new();
    for directory in ["opt/shop", "var/notified", "etc"] {
        fs::create_dir_all(machine.path(directory)).unwrap();
    }
    fs::rename(machine.path("driftlock.toml"), machine.path("opt/shop/driftlock.toml")).unwrap();
    fs::rename(machine.path("root"), machine.path("opt/shop/root")).unwrap();
    fs::rename(machine.path("audit"), machine.path("opt/shop/audit")).unwrap();
    fs::copy(machine.path("url"), machine.path("etc/webhook")).unwrap();
    let script = recipe("sh", "crontab")
        .replace("/opt/shop", machine.path("opt/shop").to_str().unwrap())
        .replace("/var/lib/driftlock", machine.path("var").to_str().unwrap())
        .replace("/etc/driftlock", machine.path("etc").to_str().unwrap())
        .replace("/usr/local/sbin/notify.sh", &format!("{REPOSITORY}/nixos-module/notify.sh"));
    let nightly = || {
        let output = machine.command("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    nightly();
    machine.tells_nothing();
    fs::write(machine.path("opt/shop/root/app.conf"), "by hand").unwrap();
    for told in [true, false] {
        nightly();
        if told { machine.tells(&["Drift", "root/app.conf"]) } else { machine.tells_nothing() }
    }
    // A run that can't start leaves no report.
    fs::write(machine.path("opt/shop/driftlock.toml"), "nonsense").unwrap();
    nightly();
    machine.tells(&["without a verdict (exit code 2)"]);
}

#[needs("bash", "python3", "curl", "jq")]
fn the_snippet_of_the_seed_goes_on_working_and_its_successor_says_more() {
    let machine = Machine::new();
    let declaration = fs::read_to_string(machine.path("driftlock.toml")).unwrap();
    fs::write(machine.path("driftlock.toml"), declaration.replace("reports = \"reports\"\n", "")).unwrap();
    let run = |word: &str| {
        let script = recipe("sh", word);
        let output = machine.command("bash").args(["-c", &script]).env("SLACK_WEBHOOK", &machine.url).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    for (content, code) in [("as it should be", 0), ("by hand", 1)] {
        let _ = fs::remove_dir_all(machine.path("audit/runtime"));
        machine.write(content);
        machine.driftlock(&["check", "--quiet"], code);
        for (word, text) in [("# Send alert", "Drift detected in production!"), ("--title production", "root/app.conf")]
        {
            run(word);
            if code == 0 { machine.tells_nothing() } else { machine.tells(&[text]) }
        }
    }
}

#[needs("bash", "python3", "curl", "jq")]
fn the_steps_of_the_workflow_run() {
    let machine = Machine::new();
    let workflow = recipe("yaml", "cargo install");
    let steps: Vec<_> = workflow.lines().filter_map(|line| line.trim().strip_prefix("run: ")).collect();
    // What is installed is the program of this build; `cargo install` would compile another.
    let [install, annotate, keep] = steps[..] else { panic!("{workflow}") };
    assert!(install.starts_with("cargo install --locked --git https://"), "{install}");
    machine.write("by hand");
    let run = |step: &str| machine.command("bash").args(["-e", "-c", step]).output().unwrap();
    let annotated = run(annotate);
    assert_eq!(annotated.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&annotated.stdout).starts_with("::error file=audit/locks/config.lock.json,line=7,"),
        "{annotated:?}"
    );
    assert!(run(keep).status.success());
    assert!(fs::read_to_string(machine.path("driftlock.html")).unwrap().contains("root/app.conf"));
    let sarif: Value = serde_json::from_slice(&fs::read(machine.path("driftlock.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 1);
}

#[needs("bash", "python3", "curl", "jq")]
fn the_windows_of_the_page_are_windows() {
    let machine = Machine::new();
    let script = recipe("sh", "driftlock check --expect-until");
    assert!(machine.command("sh").args(["-c", &script]).status().unwrap().success());
    let file = machine.path("odoo.window");
    let script = recipe("sh", "/run/driftlock/").replace("/run/driftlock/odoo.window", file.to_str().unwrap());
    assert!(machine.command("sh").args(["-c", &script]).status().unwrap().success());
    // systemd splits at blanks and takes quotes off, as a shell does with this.
    let window = fs::read_to_string(&file).unwrap();
    let arguments = window.trim().strip_prefix("WINDOW=").unwrap();
    assert!(machine.command("sh").args(["-c", &format!("driftlock check {arguments}")]).status().unwrap().success());
}
