//! Real reports of every shape against `docs/report.schema.json`, by a validator that is not ours: Python's
//! `jsonschema`. Without it these tests fail; they are never passed over.
#![allow(clippy::disallowed_methods, reason = "tests open what they like by name")]

mod samples;

mod machine;

use std::io::Write as _;
use std::process::{Command, Stdio};

use driftlock::internals::baseline::OldLock;
use needs::needs;
use serde_json::{Value, json};

/// Reads one JSON document a line, and prints for each the path of the first thing that is wrong with it, or `valid`.
const VALIDATE: &str = r##"
import json, sys
from jsonschema import Draft202012Validator
report, schema = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
Draft202012Validator.check_schema(report)
Draft202012Validator.check_schema(schema)
if schema != report:
    # One schema that holds both, since versions of jsonschema differ in how one finds another by its name.
    name = report.pop("$id")
    definitions = report.pop("$defs")
    text = json.dumps(schema).replace(f"{name}#/$defs/", "#/$defs/").replace(f"{name}#/", "#/$defs/report/")
    schema = json.loads(text.replace(name, "#/$defs/report"))
    schema["$defs"] = {**definitions, "report": report}
validator = Draft202012Validator(schema)
for line in sys.stdin.buffer:
    error = next(validator.iter_errors(json.loads(line)), None)
    print("valid" if error is None else json.dumps([error.json_path, error.message[:2000]]))
"##;

fn validate(documents: &[Value]) -> Vec<String> {
    validate_against("report", documents)
}

fn validate_against(schema: &str, documents: &[Value]) -> Vec<String> {
    let path = |schema: &str| format!("{}/docs/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3")
        .args(["-c", VALIDATE, &path("report"), &path(schema)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this test needs python3 with jsonschema (Debian: python3-jsonschema)");
    let mut lines = Vec::new();
    for document in documents {
        writeln!(lines, "{document}").unwrap();
    }
    let mut stdin = python.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        // If the validator ended early, its own message says more than a broken pipe.
        let _ = stdin.write_all(&lines);
    });
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        output.status.success(),
        "this test needs python3 with jsonschema (Debian: python3-jsonschema)\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let verdicts: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), documents.len());
    verdicts
}

fn value(report: &driftlock::internals::report::Report) -> Value {
    serde_json::from_slice(&samples::json(report)).unwrap()
}

#[needs(jsonschema)]
fn real_reports_are_valid() {
    let reports = samples::all();
    let values: Vec<_> = reports.iter().map(|(_, report)| value(report)).collect();
    for ((name, _), verdict) in reports.iter().zip(validate(&values)) {
        assert_eq!(verdict, "valid", "{name}");
    }
    // They are of every shape that there is.
    let text = serde_json::to_string(&values).unwrap();
    for change in driftlock::internals::compare::Change::ALL {
        assert!(text.contains(&format!("\"change\":\"{}\"", change.name())), "{change:?}");
    }
    for r#type in ["file", "directory", "symlink", "fifo", "socket", "char_device", "block_device"] {
        assert!(text.contains(&format!("\"type\":\"{type}\"", r#type = r#type)), "{type}", r#type = r#type);
    }
    for key in ["path_base64", "from_base64", "target_base64", "nar", "executable", "mode", "uid", "xattrs", "problem"]
    {
        assert!(text.contains(&format!("\"{key}\":")), "{key}");
    }
    for old in OldLock::ALL {
        assert!(text.contains(&format!("\"old_lock\":\"{}\"", old.name())), "{old:?}");
    }
    for status in ["PASS", "FAIL", "SKIP", "no_lock", "other_mode", "not_collected"] {
        assert!(text.contains(&format!(":\"{status}\"")), "{status}");
    }
}

#[needs(jsonschema)]
fn broken_reports_are_not() {
    let edits: &[fn(&mut Value)] = &[
        |report| report["new"] = json!(1),
        |report| report["schema"] = json!("driftlock-report-2"),
        |report| report["overall"] = json!("SKIP"),
        |report| report["overall"] = json!("PASS"),
        |report| report["exit_code"] = json!(4),
        |report| drop(report.as_object_mut().unwrap().remove("sandbox")),
        |report| report["timestamp"] = json!("yesterday"),
        |report| report["summary"]["total"] = json!(-1),
        |report| report["sandbox"]["landlock"] = json!(true),
        |report| report["checks"] = json!([]),
        |report| report["checks"][0]["name"] = json!("x"),
        |report| report["checks"][0]["kind"] = json!("files"),
        |report| report["checks"][1]["name"] = json!("lock_files_exist"),
        |report| report["checks"][1]["kind"] = json!("links"),
        |report| report["checks"][1]["status"] = json!("pass"),
        |report| report["checks"][1]["status"] = json!("SKIP"),
        |report| report["checks"][1]["details"] = json!("a\u{1b}"),
        |report| report["checks"][1]["digest"] = json!("sha256-short"),
        |report| report["checks"][1]["trouble"] = json!({"problem": "x"}),
        |report| report["checks"][1]["skipped"] = json!("no_lock"),
        |report| report["checks"][1]["mounts"] = json!(["x"]),
        |report| report["checks"][1]["trusted"] = json!(-1),
        |report| report["checks"][0]["trusted"] = json!(1),
        |report| report["checks"][0]["old_lock"] = json!("file_hashes"),
        |report| report["checks"][1]["old_lock"] = json!("new"),
        |report| drop(report["checks"][1].as_object_mut().unwrap().remove("old_lock")),
        |report| drop(report["checks"][1].as_object_mut().unwrap().remove("trusted")),
        |report| report["checks"][1]["unverified"] = json!([{"path": "x"}]),
        |report| report["checks"][1]["drift"][0]["new"] = json!(1),
        |report| report["checks"][1]["drift"][0]["path"] = json!("/x"),
        |report| report["checks"][1]["drift"][0]["path"] = json!("a/../x"),
        |report| report["checks"][1]["drift"][0]["path"] = json!(".."),
        |report| report["checks"][1]["drift"][0]["path_base64"] = json!("eA=="),
        |report| drop(report["checks"][1]["drift"][0].as_object_mut().unwrap().remove("path")),
        |report| report["checks"][1]["drift"][0]["from"] = json!("x"),
        |report| report["checks"][1]["drift"][0]["change"] = json!("moved"),
        |report| report["checks"][1]["drift"][0]["change"] = json!("added"),
        |report| report["checks"][1]["drift"][0]["change"] = json!("removed"),
        |report| report["checks"][1]["drift"][0]["change"] = json!("touched"),
        |report| report["checks"][1]["drift"][0]["actual"]["sha256"] = json!("00"),
        |report| report["checks"][1]["drift"][0]["actual"]["type"] = json!("fifo"),
        |report| report["checks"][1]["drift"][0]["actual"]["uid"] = json!(0),
        |report| report["checks"][1]["drift"][0]["actual"]["mode"] = json!("0999"),
    ];
    let good = value(&samples::seed_fail());
    let mut values = vec![good.clone()];
    for edit in edits {
        let mut value = good.clone();
        edit(&mut value);
        values.push(value);
    }
    let verdicts = validate(&values);
    assert_eq!(verdicts[0], "valid");
    for (number, verdict) in verdicts[1..].iter().enumerate() {
        assert_ne!(verdict, "valid", "edit {number} went unseen");
    }
}

#[needs(jsonschema)]
fn broken_reports_of_servers_are_not() {
    let edits: &[fn(&mut Value)] = &[
        |report| report["mode"] = json!("local"),
        |report| report["server"] = json!(null),
        |report| report["server"]["name"] = json!(""),
        |report| report["server"]["more"] = json!(1),
        |report| report["server"]["sandbox"] = json!({"landlock": true, "seccomp": true}),
        |report| report["checks"][1]["name"] = json!("compose_hashes"),
        |report| report["checks"][1]["status"] = json!("PASS"),
        |report| report["checks"][1]["status"] = json!("SKIP"),
        |report| report["checks"][1]["trouble"] = json!(null),
        |report| report["checks"][1]["kind"] = json!("files"),
        |report| report["checks"][2]["name"] = json!("server_collection"),
        |report| report["checks"][2]["skipped"] = json!("unreached"),
        |report| drop(report["checks"].as_array_mut().unwrap().remove(1)),
    ];
    let good = value(&samples::unreached());
    let broken = edits.iter().map(|edit| {
        let mut value = good.clone();
        edit(&mut value);
        value
    });
    let values: Vec<_> = std::iter::once(good.clone()).chain(broken).collect();
    let verdicts = validate(&values);
    assert_eq!(verdicts[0], "valid");
    for (number, verdict) in verdicts[1..].iter().enumerate() {
        assert_ne!(verdict, "valid", "edit {number} went unseen");
    }
}

#[needs(jsonschema)]
fn reports_of_several_servers_are_valid_and_broken_ones_are_not() {
    let fleet = |servers| value(&samples::fleet(servers));
    let clean = || samples::of_server(samples::seed_pass(), None);
    let good = fleet(vec![clean(), samples::of_server(samples::seed_fail(), None), samples::unreached()]);
    assert_eq!(good["summary"], json!({"total": 3, "passed": 1, "failed": 2, "not_collected": 1}));
    assert_eq!((&good["overall"], &good["exit_code"]), (&json!("FAIL"), &json!(3)));
    let edits: &[fn(&mut Value)] = &[
        |fleet| fleet["schema"] = json!(driftlock::internals::report::json::SCHEMA),
        |fleet| fleet["overall"] = json!("PASS"),
        |fleet| fleet["exit_code"] = json!(0),
        |fleet| fleet["more"] = json!(1),
        |fleet| fleet["servers"] = json!([]),
        |fleet| fleet["servers"][1]["checks"][1]["name"] = json!("x"),
        |fleet| fleet["servers"][1]["overall"] = json!("PASS"),
        |fleet| fleet["summary"]["total"] = json!(0),
        |fleet| drop(fleet.as_object_mut().unwrap().remove("counts")),
    ];
    let mut values = vec![fleet(vec![clean()]), good.clone()];
    values.extend(edits.iter().map(|edit| {
        let mut value = good.clone();
        edit(&mut value);
        value
    }));
    let verdicts = validate_against("servers", &values);
    assert_eq!(verdicts[..2], ["valid", "valid"]);
    for (number, verdict) in verdicts[2..].iter().enumerate() {
        assert_ne!(verdict, "valid", "edit {number} went unseen");
    }
}

/// What the schema refuses, the reader refuses as well.
#[test]
fn the_reader_and_the_schema_agree_on_the_version() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/report.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["properties"]["schema"]["const"], json!(driftlock::internals::report::json::SCHEMA));
}
