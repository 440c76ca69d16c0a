//! The report for machines: the seed's fields, exact names, and nothing but its own reports read back.

use std::io::Write as _;
use std::process::{Command, Stdio};

use driftlock::internals::baseline::OldLock;
use driftlock::internals::manifest::json::entry_line;
use driftlock::internals::path::is_hazardous;
use driftlock::internals::report::json::{ReportError, read, read_one};
use driftlock::internals::report::{Outcome, Report, Scope, Status};
use needs::needs;
use serde_json::{Value, json};

use crate::samples::{self, Tree};
use crate::text::plain;

fn value(report: &Report) -> Value {
    serde_json::from_slice(&samples::json(report)).unwrap()
}

fn jq(filter: &str, json: &[u8]) -> String {
    let mut jq = Command::new("jq")
        .args(["-r", filter])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs jq");
    jq.stdin.take().unwrap().write_all(json).unwrap();
    let output = jq.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The seed's fields of a report, and those alone.
const SEED_FIELDS: &str = "{timestamp, mode, checks: [.checks[] | {name, status, details}], \
                           summary: (.summary | {total, passed, failed}), overall}";

#[needs("jq")]
fn has_the_fields_of_the_seed() {
    let seed = |timestamp, compose: [&str; 2], addon: [&str; 2], passed, failed, overall| {
        json!({
            "timestamp": timestamp,
            "mode": "local",
            "checks": [
                {"name": "lock_files_exist", "status": "PASS", "details": ""},
                {"name": "compose_hashes", "status": compose[0], "details": compose[1]},
                {"name": "addon_hashes", "status": addon[0], "details": addon[1]},
            ],
            "summary": {"total": 3, "passed": passed, "failed": failed},
            "overall": overall,
        })
    };
    let ours = |report: &Report| serde_json::from_str::<Value>(&jq(SEED_FIELDS, &samples::json(report))).unwrap();
    let pass = seed("20260129_153042", ["PASS", ""], ["PASS", ""], 3, 0, "PASS");
    assert_eq!(ours(&samples::seed_pass()), pass);
    let compose =
        "2 files drifted: infra/stacks/edge-traefik/docker-compose.yml;infra/stacks/odoo18-prod/docker-compose.yml;";
    let addon = "2 modules drifted: custom_ocr_finance;qr_ordering;";
    let fail = seed("20260129_154215", ["FAIL", compose], ["FAIL", addon], 1, 2, "FAIL");
    assert_eq!(ours(&samples::seed_fail()), fail);
}

#[needs("jq")]
fn the_alerting_of_the_seed_goes_on_working() {
    assert_eq!(jq(".overall", &samples::json(&samples::seed_pass())), "PASS\n");
    assert_eq!(jq(".overall", &samples::json(&samples::seed_fail())), "FAIL\n");
    // Trouble is never a pass.
    assert_eq!(jq(".overall", &samples::json(&samples::report(samples::troubled()))), "FAIL\n");
    assert_eq!(jq(".checks[].drift[].path", &samples::json(&samples::seed_fail())).lines().count(), 4);
}

#[needs("jq")]
fn keys_stand_in_the_order_of_the_seed() {
    let keys =
        |filter: &str| jq(&format!("{filter} | keys_unsorted | join(\" \")"), &samples::json(&samples::seed_fail()));
    assert_eq!(
        keys("."),
        "schema driftlock timestamp started previous duration_ms bytes mode server window seal sandbox checks summary counts overall exit_code\n"
    );
    assert_eq!(
        keys(".checks[1]"),
        "name status details kind root resolved_root declared_root lock digest live_digest counts drift unverified left_out mounts uncovered uncovered_is_trouble touched trusted \
         old_lock trouble skipped\n"
    );
    assert_eq!(keys(".summary"), "total passed failed skipped\n");
    assert_eq!(keys(".checks[1].drift[0]"), "path change expected actual\n");
    assert_eq!(keys(".checks[1].drift[0].actual"), "type size sha256\n");
}

#[test]
fn details_count_what_failed() {
    let details = |report: &Report| -> Vec<String> {
        let value = value(report);
        let checks = value["checks"].as_array().unwrap().iter();
        checks.map(|check| check["details"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        details(&samples::report(samples::troubled())),
        [
            "1 lock file missing: audit/locks/unit_files.lock.json;",
            "1 module drifted: m; 4 entries unverified: odoo_modules/seisei/m/d;odoo_modules/seisei/m/d/x;\
             odoo_modules/seisei/m/d/y;odoo_modules/seisei/m/f;",
            "not checked: the root infra/stacks does not exist;",
            "not checked: its lock file is missing;",
            "not checked: not for mode local;",
        ]
    );
    let locked = Tree::new().file("a", "1").file("b", "2").file("b;c\n", "3");
    let one = samples::report(vec![samples::files(&locked, &locked.clone().file("b;c\n", "4"))]);
    assert_eq!(details(&one)[1], "1 file drifted: infra/stacks/b\\x3bc\\n;");
    let mixed = samples::report(vec![samples::trees(&Tree::new(), &locked.dir("d"))]);
    assert_eq!(
        details(&mixed)[1],
        "1 module and 3 files drifted: odoo_modules/seisei/a;odoo_modules/seisei/b;odoo_modules/seisei/b\\x3bc\\n;d;"
    );
    // No name makes two items of one.
    for check in &samples::hostile().hosts[0].checks {
        if let Outcome::Compared { comparison, .. } = &check.outcome {
            let groups = driftlock::internals::report::group::groups(check.kind, &comparison.drift).len();
            let text = &details(&samples::hostile())[1];
            assert_eq!(text.matches(';').count(), groups + comparison.unverified.len(), "{text}");
        }
    }
}

#[test]
fn an_entry_has_the_keys_of_its_lock_line() {
    let mut seen = 0;
    for (_, report) in samples::all() {
        let value = value(&report);
        let host = &report.hosts[0];
        let own = 1 + usize::from(host.server.is_some()) + usize::from(host.seal.is_some());
        for (number, check) in host.checks.iter().enumerate() {
            let Outcome::Compared { comparison, .. } = &check.outcome else { continue };
            for (drift, item) in comparison.drift.iter().zip(value["checks"][number + own]["drift"].as_array().unwrap())
            {
                for (record, key) in [(&drift.expected, "expected"), (&drift.actual, "actual")] {
                    let Some(record) = record else {
                        assert_eq!(item[key], Value::Null);
                        continue;
                    };
                    let mut line: Value = serde_json::from_str(&entry_line(b"x", record)).unwrap();
                    line.as_object_mut().unwrap().remove("path");
                    assert_eq!(item[key], line);
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10_000);
}

#[test]
fn a_report_reads_back_as_it_was() {
    for (name, report) in samples::all() {
        let read = read(&samples::json(&report)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read.exit_code(), report.exit_code(), "{name}");
        assert_eq!(read.overall(), report.overall(), "{name}");
        assert_eq!(read.counts(), report.counts(), "{name}");
        assert_eq!(read.run.scope, report.run.scope, "{name}");
        assert_eq!(read.run.timestamp, report.run.timestamp, "{name}");
        let ([read], [host]) = (&read.hosts[..], &report.hosts[..]) else { panic!("{name}") };
        assert_eq!(read.summary(), host.summary(), "{name}");
        assert_eq!(
            read.server.as_ref().map(|server| &server.name),
            host.server.as_ref().map(|server| &server.name),
            "{name}"
        );
        let troubles =
            |host: &driftlock::internals::report::HostReport| host.seal.as_ref().map(|seal| seal.troubles.clone());
        assert_eq!(troubles(read), troubles(host), "{name}");
        assert_eq!(read.checks.len(), host.checks.len(), "{name}");
        for (read, check) in read.checks.iter().zip(&host.checks) {
            assert_eq!((&read.name, read.kind), (&check.name, check.kind), "{name}");
            assert_eq!((read.status(), read.counts()), (check.status(), check.counts()), "{name}");
            match (&read.outcome, &check.outcome) {
                (
                    Outcome::Compared { comparison: read, digest: read_digest, live_digest: read_live },
                    Outcome::Compared { comparison, digest, live_digest },
                ) => {
                    assert_eq!(read.drift, comparison.drift, "{name}");
                    assert_eq!((read_digest, read_live), (digest, live_digest), "{name}");
                    let paths = read.unverified.iter().map(|entry| &entry.path);
                    assert!(paths.eq(comparison.unverified.iter().map(|entry| &entry.path)), "{name}");
                }
                (Outcome::Failed(escaped), Outcome::Failed(trouble)) => {
                    assert!(name == "hostile" || escaped == trouble, "{name}");
                }
                (read, _) => {
                    assert_eq!(std::mem::discriminant(read), std::mem::discriminant(&check.outcome), "{name}");
                    assert_eq!(check.status(), Status::Skip);
                }
            }
        }
    }
}

/// All forms are rendered from what was read, so it has to be all that was written.
#[test]
fn a_report_that_was_read_is_written_the_same() {
    for (name, report) in samples::all() {
        let json = samples::json(&report);
        let restored = read(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(samples::json(&restored) == json, "{name}");
        assert_eq!(plain(&restored), plain(&report), "{name}");
    }
}

/// The number of the schema is the same, so such a report is read, as one of a run that verified no seal.
#[test]
fn a_report_from_before_there_were_seals_is_read() {
    // Written by that version.
    let old = include_bytes!("before_seals.json");
    let report = read(old).unwrap();
    assert_eq!((report.exit_code(), report.hosts[0].seal.is_none()), (1, true));
    let mut again = value(&report);
    assert_eq!(again.as_object_mut().unwrap().remove("seal"), Some(Value::Null));
    assert_eq!(again, serde_json::from_slice::<Value>(old).unwrap());
    let mut several = value(&samples::fleets().into_iter().next().unwrap().1);
    for server in several["servers"].as_array_mut().unwrap() {
        assert!(server.as_object_mut().unwrap().remove("seal").is_some());
    }
    assert!(read(several.to_string().as_bytes()).unwrap().hosts.iter().all(|host| host.seal.is_none()));
    // A seal that was taken out of a report leaves its check.
    let sealed: Vec<_> = samples::all().into_iter().filter(|(_, report)| report.hosts[0].seal.is_some()).collect();
    assert!(!sealed.is_empty());
    for (name, report) in sealed {
        let mut report = value(&report);
        // Added later: the declaration that was compared.
        report["seal"].as_object_mut().unwrap().remove("declaration").unwrap();
        assert!(read(report.to_string().as_bytes()).is_ok(), "{name}");
        report.as_object_mut().unwrap().remove("seal");
        let error = read(report.to_string().as_bytes()).map(|_| ()).expect_err(name);
        assert!(matches!(error, ReportError::Inconsistent { .. }), "{name}: {error}");
    }
}

#[test]
fn details_changed_by_hand_are_refused() {
    for check in 0..3 {
        let mut report = value(&samples::seed_fail());
        report["checks"][check]["details"] = json!("1 file drifted: x;");
        let error = read(report.to_string().as_bytes()).unwrap_err();
        assert!(matches!(error, ReportError::Inconsistent { .. }), "{error}");
        // Another version may have had other words for it.
        report["driftlock"] = json!("0.0.9");
        assert!(read(report.to_string().as_bytes()).is_ok());
    }
}

#[needs("jq")]
fn it_is_harmless_on_a_terminal_and_exact() {
    for (name, report) in samples::all() {
        let json = String::from_utf8(samples::json(&report)).unwrap();
        assert!(!json.chars().any(|character| character != '\n' && is_hazardous(character)), "{name}");
        assert!(json.ends_with("}\n"), "{name}");
    }
    let json = samples::json(&samples::hostile());
    assert_eq!(jq(".checks[1].mounts[6].path", &json), "\u{85}\u{2028}\u{feff}\n");
    assert_eq!(jq(".checks[1].mounts[4].path_base64", &json), "bm90//51dGY4\n");
}

fn refused(bytes: &[u8]) -> ReportError {
    read(bytes).map(|_| ()).unwrap_err()
}

#[test]
fn what_is_no_report_is_refused() {
    let json = samples::json(&samples::seed_fail());
    assert_eq!(refused(b""), ReportError::Empty);
    assert_eq!(refused(b" \n"), ReportError::Empty);
    assert!(matches!(read(b"OVERALL: PASS"), Err(ReportError::NotJson { .. })));
    for other in ["[]", "1", "{}", "{\"schema\": 1}", "{\"schema\": \"x\"}", "{\"overall\": \"PASS\"}"] {
        assert_eq!(refused(other.as_bytes()), ReportError::NotAReport, "{other}");
    }
    let found = "driftlock-report-2".to_owned();
    assert_eq!(refused(b"{\"schema\": \"driftlock-report-2\", \"new\": 1}"), ReportError::Version { found });
    // Cut anywhere.
    for end in 1..json.len() - 2 {
        assert!(matches!(read(&json[..end]), Err(ReportError::Truncated { .. })), "{end}");
    }
    let twice = [&json[..], &json[..]].concat();
    assert!(matches!(read(&twice), Err(ReportError::NotJson { .. })));
    assert!(read("[".repeat(100_000).as_bytes()).is_err());
}

#[needs("jq")]
fn an_old_lock_is_told() {
    let report = &samples::json(&samples::old_locks());
    assert_eq!(
        jq("[.checks[].old_lock] | tostring", report),
        "[null,\"file_hashes\",\"module_hashes\",\"container_images\"]\n"
    );
    let told: Vec<_> = read(report).unwrap().checks().map(|check| check.old_lock).collect();
    assert_eq!(told, [Some(OldLock::FileHashes), Some(OldLock::ModuleHashes), Some(OldLock::ContainerImages)]);
    // A lock of the scripts is of one kind, and states no digest.
    let edits: [fn(&mut Value); 2] = [
        |report| report["checks"][1]["kind"] = json!("trees"),
        |report| report["checks"][1]["digest"] = json!(samples::sha256(b"lock").sri()),
    ];
    for edit in edits {
        let mut value: Value = serde_json::from_slice(report).unwrap();
        edit(&mut value);
        let refused = refused(value.to_string().as_bytes());
        assert!(matches!(refused, ReportError::Inconsistent { .. }), "{refused}");
    }
}

#[needs("jq")]
fn what_was_trusted_is_told() {
    assert_eq!(jq("[.checks[].trusted] | tostring", &samples::json(&samples::trusting())), "[0,0,3]\n");
    let read = read(&samples::json(&samples::trusting())).unwrap();
    assert_eq!(read.checks().map(|check| check.trusted).collect::<Vec<_>>(), [0, 3]);
}

/// What a report can say of the one before it.
fn previous(report: &str, started: &str, content: &str) -> Value {
    json!({"report": report, "started": started, "digest": samples::sha256(content.as_bytes()).sri()})
}

/// A way to spoil a report, and what then is refused: `true` for a contradiction, `false` for its form.
type Edit = (bool, fn(&mut Value));

#[test]
fn a_report_changed_by_hand_is_refused() {
    let edits: [Edit; 52] = [
        (false, |report| report["new"] = json!(1)),
        (false, |report| drop(report.as_object_mut().unwrap().remove("counts"))),
        (false, |report| drop(report["checks"][1].as_object_mut().unwrap().remove("trouble"))),
        (false, |report| report["mode"] = json!("elsewhere")),
        (false, |report| report["checks"][1]["status"] = json!("OK")),
        (false, |report| report["checks"][1]["drift"][0]["change"] = json!("touched")),
        (false, |report| report["checks"][1]["drift"][0]["change"] = json!("added")),
        (false, |report| report["checks"][1]["drift"][0]["path"] = json!("../x")),
        (false, |report| report["checks"][1]["drift"][0]["path_base64"] = json!("eA==")),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["sha256"] = json!("00")),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["target"] = json!("x")),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["executable"] = json!(false)),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["type"] = json!("fifo")),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["mode"] = json!("+644")),
        (false, |report| report["checks"][1]["drift"][0]["actual"]["uid"] = json!(0)),
        (false, |report| report["checks"][1]["mounts"] = json!([{"path": "/x", "what": "subvolume"}])),
        (false, |report| drop(report["checks"][1].as_object_mut().unwrap().remove("touched"))),
        (true, |report| report["checks"][1]["touched"] = json!([{"path": "b"}, {"path": "a"}])),
        (true, |report| report["checks"][0]["touched"] = json!([{"path": "a"}])),
        (false, |report| drop(report["checks"][1].as_object_mut().unwrap().remove("trusted"))),
        (false, |report| report["checks"][1]["trusted"] = json!(-1)),
        (true, |report| report["checks"][1]["trusted"] = json!(3)),
        (false, |report| report["started"] = json!("yesterday")),
        (false, |report| report["duration_ms"] = json!(-1)),
        (false, |report| drop(report.as_object_mut().unwrap().remove("previous"))),
        (false, |report| report["previous"] = json!({})),
        (false, |report| report["previous"] = previous("20260128_153042", "2026-01-28T15:30:43+09:00", "x")),
        (false, |report| report["previous"] = previous("20260128_153042_1", "2026-01-28T15:30:42+09:00", "x")),
        (false, |report| report["previous"] = previous("../1", "2026-01-28T15:30:42+09:00", "x")),
        (false, |report| report["previous"]["digest"] = json!("sha256-short")),
        (false, |report| report["window"] = json!({"until": "2026-01-29T18:00:00+09:00", "reason": "x"})),
        (false, |report| report["window"] = json!({"until": "2026-01-29T09:00:00Z", "reason": "a\u{1b}"})),
        (false, |report| report["sandbox"]["landlock"]["restrictions"] = json!(["everything"])),
        (false, |report| drop(report.as_object_mut().unwrap().remove("window"))),
        (true, |report| report["timestamp"] = json!("20260129_154216")),
        (true, |report| report["checks"][0]["status"] = json!("FAIL")),
        (true, |report| report["checks"][1]["counts"]["entries"] = json!(1)),
        (true, |report| report["checks"][1]["unverified"] = json!([{"path": "x", "reason": "y", "cause": "io"}])),
        (true, |report| report["overall"] = json!("PASS")),
        (true, |report| report["exit_code"] = json!(0)),
        (true, |report| report["summary"]["failed"] = json!(0)),
        (true, |report| report["counts"]["drifted"] = json!(0)),
        (true, |report| report["checks"] = json!([])),
        (true, |report| drop(report["checks"].as_array_mut().unwrap().remove(0))),
        (true, |report| report["checks"][2]["name"] = json!("compose_hashes")),
        (true, |report| report["checks"][1]["status"] = json!("PASS")),
        (true, |report| report["checks"][1]["root"] = Value::Null),
        (true, |report| drop(report["checks"][1]["drift"].as_array_mut().unwrap().remove(0))),
        (true, |report| report["checks"][1]["drift"].as_array_mut().unwrap().reverse()),
        (true, |report| report["checks"][1]["counts"]["verified"] = json!(u64::MAX)),
        (true, |report| report["checks"][1]["skipped"] = json!("no_lock")),
        (true, |report| report["checks"][0]["kind"] = json!("files")),
    ];
    for (number, (contradiction, edit)) in edits.into_iter().enumerate() {
        let mut report = value(&samples::after_another(samples::seed_fail()));
        edit(&mut report);
        let error = read(report.to_string().as_bytes()).map(|_| ()).expect_err(&number.to_string());
        match error {
            ReportError::Inconsistent { .. } => assert!(contradiction, "{number}: {error}"),
            ReportError::Form { .. } => assert!(!contradiction, "{number}: {error}"),
            _ => panic!("{number}: {error}"),
        }
        assert!(!error.help().is_empty());
    }
}

/// What a report can't hold would be gone when it is written once more, so it is refused and not passed over.
#[test]
fn what_would_be_lost_is_refused() {
    let troubled = samples::report(samples::troubled());
    let unreached = samples::unreached();
    let server = samples::of_server(samples::seed_pass(), None);
    let failed = |key: &str, value: Value| {
        let mut report = self::value(&troubled);
        report["checks"][2][key] = value;
        report
    };
    let of_server = |report: &Report, key: &str, value: Value| {
        let mut report = self::value(report);
        report["server"][key] = value;
        report
    };
    let mut cause = value(&troubled);
    assert_eq!(cause["checks"][1]["unverified"][1]["cause"], "below");
    cause["checks"][1]["unverified"][1]["cause"] = json!("io");
    assert_eq!(read(cause.to_string().as_bytes()).unwrap().hosts[0].checks[0].counts().unverified, 4);
    for report in [
        failed("digest", json!(samples::sha256(b"lock").sri())),
        failed("live_digest", json!(samples::sha256(b"lock").sri())),
        failed("uncovered", json!([{"list": "include", "glob": "x"}])),
        of_server(&server, "sandbox", Value::Null),
        of_server(&server, "driftlock", Value::Null),
        of_server(&unreached, "driftlock", json!("0.1.0")),
    ] {
        let error = refused(report.to_string().as_bytes());
        assert!(matches!(error, ReportError::Inconsistent { .. }), "{error}");
    }
}

/// Something done to a report by hand.
type FleetEdit = fn(&mut Value);

#[test]
fn a_report_of_several_servers_is_read_back_to_the_byte() {
    for (name, fleet) in samples::fleets() {
        let json = samples::json(&fleet);
        let read = read(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(samples::json(&read), json, "{name}");
        assert_eq!(read_one(&json).map(|_| ()), Err(ReportError::Several), "{name}");
    }
    assert_eq!(read(&samples::json(&samples::seed_fail())).unwrap().run.scope, Scope::ThisMachine);
}

#[test]
fn a_report_of_several_servers_that_contradicts_itself_is_refused() {
    let fleets = samples::fleets();
    let good = samples::json(&fleets.iter().find(|(name, _)| *name == "mixed").unwrap().1);
    let edits: &[(FleetEdit, &str)] = &[
        (|fleet| fleet["overall"] = json!("PASS"), "its verdict does not fit its servers"),
        (|fleet| fleet["exit_code"] = json!(1), "its verdict does not fit its servers"),
        (|fleet| fleet["summary"]["failed"] = json!(1), "its summary or its counts do not fit its servers"),
        (|fleet| fleet["counts"]["drifted"] = json!(0), "its summary or its counts do not fit its servers"),
        (|fleet| fleet["mode"] = json!("local"), "its `mode` is not"),
        (|fleet| fleet["schema"] = json!("driftlock-servers-2"), "its schema is driftlock-servers-2, and only"),
        (|fleet| fleet["more"] = json!(1), "unknown field `more`"),
        (|fleet| fleet["servers"] = json!([]), "it has no servers"),
        (|fleet| drop(fleet.as_object_mut().unwrap().remove("summary")), "missing field `summary`"),
        (|fleet| drop(fleet["servers"].as_array_mut().unwrap().remove(1)), "its summary or its counts do not fit"),
        (|fleet| fleet["servers"][1]["overall"] = json!("PASS"), "server b: its verdict does not fit its checks"),
        (|fleet| fleet["servers"][1]["checks"][2]["drift"] = json!([]), "server b: check compose_hashes: its counts"),
        (|fleet| fleet["servers"][1]["checks"][2]["details"] = json!(""), "its details do not fit its entries"),
        (|fleet| fleet["servers"][1]["schema"] = json!("driftlock-servers-1"), "server b: its `schema` is not"),
        (|fleet| fleet["servers"][1]["server"] = json!(null), "its mode, its server and the check of the collection"),
        (|fleet| fleet["servers"][1]["server"]["name"] = json!("a"), "a server has no name, or two have the same"),
        (|fleet| fleet["servers"][1]["timestamp"] = json!("20260129_153043"), "server b: its `timestamp` should be"),
        (|fleet| fleet["sandbox"]["seccomp"] = json!(false), "its servers were not checked in one run"),
        (|fleet| fleet["started"] = json!("2026-01-29T15:30:42Z"), "its servers were not checked in one run"),
        (|fleet| fleet["previous"] = json!(1), "it does not follow its schema"),
        (
            |fleet| fleet["servers"][1]["previous"] = previous("20260128_153042", "2026-01-28T15:30:42Z", "x"),
            "its servers were not checked in one run",
        ),
        (
            |fleet| {
                fleet["servers"][1]["checks"][2]["kind"] = json!("container_files");
            },
            "its servers have different checks with the same name",
        ),
    ];
    for (edit, problem) in edits {
        let mut value: Value = serde_json::from_slice(&good).unwrap();
        edit(&mut value);
        let error = refused(value.to_string().as_bytes());
        assert!(error.to_string().contains(problem), "{error}, not {problem}");
        assert!(!error.help().is_empty());
    }
    // A local report among them, and one cut anywhere.
    let mut value: Value = serde_json::from_slice(&good).unwrap();
    value["servers"][0] = serde_json::from_slice(&samples::json(&samples::seed_pass())).unwrap();
    assert!(read(value.to_string().as_bytes()).is_err());
    for cut in (0..good.len() - 1).step_by(97) {
        assert!(read(&good[..cut]).is_err(), "{cut}");
    }
}
