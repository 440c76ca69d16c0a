//! `monitoring/`: the alerting rules and the dashboard, by promtool and by a real Prometheus that collects from real
//! node_exporters, all of it on loopback.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests open what they like by name")]

mod machine;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use needs::needs;
use serde_json::{Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/monitoring");

fn promtool(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new("promtool").args(arguments).output().expect("this test needs promtool (Debian: prometheus)");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn directory() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap()
}

fn rules() -> String {
    fs::read_to_string(format!("{FOLDER}/driftlock.rules.yml")).unwrap()
}

/// The names of all alerts there are.
fn alerts() -> Vec<String> {
    rules().lines().filter_map(|line| line.trim().strip_prefix("- alert: ").map(str::to_owned)).collect()
}

#[needs("promtool")]
fn each_alert_fires_when_it_should_and_not_when_it_should_not() {
    let (passed, said) = promtool(&["test", "rules", &format!("{FOLDER}/driftlock.rules.test.yml")]);
    assert!(passed, "{said}");
    let tests = fs::read_to_string(format!("{FOLDER}/driftlock.rules.test.yml")).unwrap();
    assert_eq!(alerts().len(), 8);
    for alert in alerts() {
        assert!(
            tests.contains(&format!("alertname: {alert}\n")) || tests.contains(&format!("alertname=\"{alert}\"")),
            "{alert}"
        );
    }
}

/// Each alert, spoilt, is missed by the tests of the rules: so they can fail.
#[needs("promtool")]
fn the_tests_of_the_rules_miss_what_is_taken_out() {
    for alert in alerts() {
        let folder = directory();
        let spoilt = rules().replace(&format!("- alert: {alert}\n"), &format!("- alert: {alert}Spoilt\n"));
        fs::write(folder.path().join("driftlock.rules.yml"), spoilt).unwrap();
        let tests = folder.path().join("driftlock.rules.test.yml");
        fs::copy(format!("{FOLDER}/driftlock.rules.test.yml"), &tests).unwrap();
        let (passed, said) = promtool(&["test", "rules", tests.to_str().unwrap()]);
        assert!(!passed && said.contains("FAILED"), "{alert}: {said}");
    }
}

fn dashboard() -> Value {
    serde_json::from_str(&fs::read_to_string(format!("{FOLDER}/driftlock-dashboard.json")).unwrap()).unwrap()
}

/// The queries of the dashboard for one host, with the titles of their panels.
fn queries(instance: &str) -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let queries = panels.filter(|panel| panel["type"] != "row").flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap().clone();
        assert!(!targets.is_empty(), "{panel:#}");
        let title = panel["title"].as_str().unwrap().to_owned();
        targets
            .into_iter()
            .map(move |target| (title.clone(), target["expr"].as_str().unwrap().replace("$instance", instance)))
    });
    queries.collect()
}

#[needs("promtool")]
fn the_dashboard_is_whole() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    // No two panels lie on one another, and none beyond the 24 columns.
    let mut taken = BTreeSet::new();
    for panel in panels {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{panel:#}");
        for column in x..x + w {
            for line in y..y + h {
                assert!(taken.insert((column, line)), "{panel:#}");
            }
        }
    }
    for variable in ["datasource", "instance"] {
        let mut list = dashboard["templating"]["list"].as_array().unwrap().iter();
        assert!(list.any(|entry| entry["name"] == variable), "{variable}");
    }
    // Each query is PromQL, and asks for metrics that exist.
    let folder = directory();
    let queries = queries("a");
    let named = queries.iter().zip(0..);
    let rules: Vec<_> =
        named.map(|((_, query), number)| json!({"record": format!("query:{number}"), "expr": query})).collect();
    let file = folder.path().join("queries.yml");
    fs::write(&file, json!({"groups": [{"name": "queries", "rules": rules}]}).to_string()).unwrap();
    let (passed, said) = promtool(&["check", "rules", file.to_str().unwrap()]);
    assert!(passed, "{said}");
}

/// A program that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(program: &str, arguments: &[String], log: &Path) -> Server {
    let log = fs::File::create(log).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Server(command.spawn().unwrap_or_else(|error| panic!("this test needs {program}: {error}")))
}

/// A loopback port on which no process listens.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One of the three hosts: the same declaration, the same two checks.
struct Host {
    name: &'static str,
    path: PathBuf,
    every: &'static str,
}

impl Host {
    fn new(folder: &Path, name: &'static str, every: &'static str) -> Self {
        let path = folder.join(name);
        for directory in ["stacks", "config", "textfile"] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        for check in ["stacks", "config"] {
            fs::write(path.join(check).join("file"), "as it should be\n").unwrap();
        }
        let check = |name| format!("[check.{name}]\nkind = \"files\"\nroot = \"{name}\"\ninclude = [\"**\"]\n");
        fs::write(path.join("driftlock.toml"), check("stacks") + &check("config")).unwrap();
        let host = Self { name, path, every };
        host.driftlock(&["lock"], 0);
        host.check(0);
        host
    }

    fn driftlock(&self, arguments: &[&str], code: i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_driftlock")).args(arguments).current_dir(&self.path).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }

    fn check(&self, code: i32) {
        self.driftlock(&["check", "--quiet", "--metrics", "textfile/driftlock.prom", "--every", self.every], code);
    }
}

/// A Prometheus that asks twice a second.
struct Prometheus {
    url: String,
    folder: PathBuf,
    _server: Server,
}

impl Prometheus {
    fn start(folder: &Path, targets: &[(&str, u16)]) -> Self {
        // The rules as they are, but in seconds instead of minutes and hours.
        let rules = rules();
        let quick = rules.replace("for: 15m", "for: 1s").replace("* 1.125 + 3600", "* 1.125 + 5");
        assert_eq!(quick.matches("for: 1s").count() + quick.matches("+ 5)").count(), 2, "{quick}");
        fs::write(folder.join("rules.yml"), quick).unwrap();
        let targets: Vec<_> = targets
            .iter()
            .map(|(name, port)| json!({"targets": [format!("127.0.0.1:{port}")], "labels": {"instance": name}}))
            .collect();
        let config = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [folder.join("rules.yml")],
            "scrape_configs": [{"job_name": "node", "static_configs": targets}],
        });
        fs::write(folder.join("prometheus.yml"), config.to_string()).unwrap();
        let port = port();
        let server = server(
            "prometheus",
            &[
                format!("--config.file={}", folder.join("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", folder.join("data").display()),
                format!("--web.listen-address=127.0.0.1:{port}"),
            ],
            &folder.join("prometheus.log"),
        );
        Self { url: format!("http://127.0.0.1:{port}"), folder: folder.to_path_buf(), _server: server }
    }

    /// What a query finds now; nothing while Prometheus is still starting.
    fn query(&self, query: &str) -> Option<Vec<Value>> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--noproxy", "*", "--get", "--data-urlencode", &format!("query={query}")]);
        let output = curl.arg(format!("{}/api/v1/query", self.url)).output().expect("this test needs curl");
        let mut answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        assert_ne!(answer["status"], "error", "{query}: {answer}");
        Some(answer["data"]["result"].as_array_mut()?.drain(..).collect())
    }

    /// Alerts that fire: their names, hosts and checks.
    fn firing(&self) -> Option<BTreeSet<(String, String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let alerts = self.query("ALERTS{alertstate=\"firing\"}")?;
        let label = |alert: &Value, name: &str| text(&alert["metric"][name]);
        Some(alerts.iter().map(|a| (label(a, "alertname"), label(a, "instance"), label(a, "check"))).collect())
    }

    fn wait_for(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let started = Instant::now();
        while !holds() {
            if started.elapsed() > Duration::from_secs(90) {
                let log = fs::read_to_string(self.folder.join("prometheus.log")).unwrap_or_default();
                panic!("{what} never came: {:#?}\n{log}", self.firing());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until these alerts fire, and no others; and makes sure that it stays so.
    fn expect(&self, expected: &[(&str, &str, &str)], meanwhile: impl Fn()) {
        let expected: BTreeSet<_> =
            expected.iter().map(|(a, b, c)| ((*a).to_owned(), (*b).to_owned(), (*c).to_owned())).collect();
        self.wait_for(&format!("{expected:?}"), || {
            meanwhile();
            self.firing().as_ref() == Some(&expected)
        });
        for _ in 0..4 {
            meanwhile();
            std::thread::sleep(Duration::from_millis(500));
            assert_eq!(self.firing().as_ref(), Some(&expected));
        }
    }
}

#[needs(landlock, "prometheus", "prometheus-node-exporter", "promtool")]
fn of_three_hosts_one_drifts_one_diverges_and_one_falls_silent() {
    let folder = directory();
    // The last is meant to run each second.
    let hosts = [("drifts", "24h"), ("diverges", "24h"), ("silent", "1s")];
    let hosts = hosts.map(|(name, every)| Host::new(folder.path(), name, every));
    let mut exporters = Vec::new();
    let mut targets = Vec::new();
    for host in &hosts {
        let port = port();
        let arguments = [
            "--collector.disable-defaults".to_owned(),
            "--collector.textfile".to_owned(),
            format!("--collector.textfile.directory={}", host.path.join("textfile").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        exporters.push(server("prometheus-node-exporter", &arguments, &host.path.join("exporter.log")));
        targets.push((host.name, port));
    }
    let prometheus = Prometheus::start(folder.path(), &targets);
    let [drifts, diverges, silent] = &hosts;

    // All is well.
    let clean = "count(driftlock_check_verdict{verdict=\"pass\"} == 1)";
    prometheus.wait_for("three hosts", || {
        silent.check(0);
        prometheus.query(clean).is_some_and(|found| found.first().is_some_and(|found| found["value"][1] == "6"))
    });
    prometheus.expect(&[], || silent.check(0));
    // No error of the collector, and each series of the file is one of Prometheus.
    for found in prometheus.query("node_textfile_scrape_error").unwrap() {
        assert_eq!(found["value"][1], "0");
    }
    let file = fs::read_to_string(drifts.path.join("textfile/driftlock.prom")).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with('#')).count();
    let series = prometheus.query("count({__name__=~\"driftlock_.+\",instance=\"drifts\"})").unwrap();
    assert_eq!(series[0]["value"][1], lines.to_string());
    assert_eq!(lines, PER_RUN + 2 * PER_CHECK);

    fs::write(drifts.path.join("stacks/file"), "by hand\n").unwrap();
    drifts.check(1);
    fs::write(diverges.path.join("config/file"), "deployed from another branch\n").unwrap();
    diverges.driftlock(&["lock"], 0);
    diverges.check(0);
    let told = [
        ("DriftlockDrift", "drifts", "stacks"),
        ("DriftlockDiverges", "diverges", "config"),
        ("DriftlockSilent", "silent", ""),
    ];
    prometheus.expect(&told, || {});
    // The dashboard has something to show of all this.
    for (title, query) in queries("drifts") {
        assert_ne!(prometheus.query(&query).unwrap(), Vec::<Value>::new(), "{title}: {query}");
    }

    // A window that is open holds the alert back, one that is over does not.
    let mut window = vec!["check", "--quiet", "--metrics", "textfile/driftlock.prom", "--reason", "x"];
    window.extend(["--expect-until", "2099-01-01T00:00:00Z"]);
    drifts.driftlock(&window, 1);
    prometheus.expect(&told[1..], || {});
    *window.last_mut().unwrap() = "2020-01-01T00:00:00Z";
    drifts.driftlock(&window, 1);
    prometheus.expect(&told, || {});

    // What is mended is told no longer; a machine that is gone with its exporter is still silent.
    fs::write(drifts.path.join("stacks/file"), "as it should be\n").unwrap();
    drifts.check(0);
    fs::write(diverges.path.join("config/file"), "as it should be\n").unwrap();
    diverges.driftlock(&["lock"], 0);
    diverges.check(0);
    drop(exporters.pop());
    prometheus.expect(&told[2..], || {});
}

/// Series that a run has, and each of its checks, as docs/fleet.md says.
const PER_RUN: usize = 11;
const PER_CHECK: usize = 18;

#[test]
fn the_page_on_fleets_counts_right() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fleet.md")).unwrap();
    assert!(page.contains(&format!("{PER_RUN} series a run and {PER_CHECK} a check")), "{page}");
    for alert in alerts() {
        assert!(page.contains(&format!("`{alert}`")), "{alert}");
    }
}
