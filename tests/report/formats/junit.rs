use std::process::Command;

use driftlock::internals::report::junit::write;
use needs::needs;

use super::{content, rendered, schema};
use crate::samples;

#[needs("xmllint")]
fn every_report_is_valid_by_the_schema_that_jenkins_reads() {
    for (name, report) in samples::all() {
        let xml = rendered(|out| write(out, &report));
        let mut xmllint = Command::new("xmllint");
        content(xmllint.args(["--noout", "--schema", &schema("junit-10.xsd"), "-"]), xml.as_bytes(), name);
    }
    for (name, fleet) in samples::fleets() {
        let xml = rendered(|out| write(out, &fleet));
        let mut xmllint = Command::new("xmllint");
        content(xmllint.args(["--noout", "--schema", &schema("junit-10.xsd"), "-"]), xml.as_bytes(), name);
    }
}

#[needs("xmllint")]
fn a_server_is_a_suite_of_its_own() {
    let xml = rendered(|out| write(out, &samples::large_fleet()));
    for (expression, expected) in [
        ("count(/testsuites/testsuite)", "200"),
        // The locks, the collection, and two checks of each.
        ("string(/testsuites/@tests)", "800"),
        ("string(/testsuites/@failures)", "70"),
        ("string(/testsuites/@errors)", "5"),
        ("count(//failure)", "70"),
        ("count(//error)", "5"),
        ("string(/testsuites/testsuite[46]/@name)", "web-045.example.org"),
        ("string(/testsuites/testsuite[46]/@skipped)", "2"),
        (
            "string(/testsuites/testsuite[46]/testcase[@name='server_collection']/error/@message)",
            "ssh: connect to web-045.example.org: Connection refused",
        ),
        ("string(/testsuites/testsuite[11]/testcase[3]/@classname)", "driftlock.web-010.example.org.files"),
        ("string(/testsuites/testsuite[11]/@hostname)", "web-010.example.org"),
    ] {
        assert_eq!(xpath(expression, &xml), expected, "{expression}");
    }
    // One server alone is told as any other.
    let xml = rendered(|out| write(out, &samples::unreached()));
    assert_eq!(xpath("string(/testsuites/testsuite/@errors)", &xml), "1");
    assert_eq!(xpath("count(//testcase[@name='server_collection']/error)", &xml), "1");
}

/// A value of a document, as XPath finds it.
fn xpath(expression: &str, xml: &str) -> String {
    content(Command::new("xmllint").args(["--xpath", expression, "-"]), xml.as_bytes(), expression).trim().to_owned()
}

#[needs("xmllint")]
fn drift_is_a_failure_and_trouble_an_error() {
    let xml = rendered(|out| write(out, &samples::report(samples::troubled())));
    for (expression, expected) in [
        ("string(/testsuites/testsuite/@tests)", "5"),
        ("string(/testsuites/testsuite/@failures)", "2"),
        ("string(/testsuites/testsuite/@errors)", "2"),
        ("string(/testsuites/testsuite/@skipped)", "2"),
        ("count(//testcase)", "5"),
        ("string(//testcase[@name='lock_files_exist']/failure)", "audit/locks/unit_files.lock.json"),
        ("count(//testcase[@name='addon_hashes']/failure)", "1"),
        ("count(//testcase[@name='addon_hashes']/error)", "1"),
        (
            "string(//testcase[@name='unit_files']/skipped/@message)",
            "its lock file audit/locks/unit_files.lock.json is missing",
        ),
        ("string(//testcase[@name='compose_hashes']/error/@message)", "the root infra/stacks does not exist"),
    ] {
        assert_eq!(xpath(expression, &xml), expected, "{expression}\n{xml}");
    }
    let text = xpath("string(//testcase[@name='addon_hashes']/error)", &xml);
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[needs("xmllint")]
fn names_are_text() {
    let xml = rendered(|out| write(out, &samples::hostile()));
    let text = xpath("string(//testcase[2]/failure)", &xml);
    assert!(text.contains("<img src=x onerror=alert(1)>") && text.contains("\"quote\\\\x3b\""), "{text}");
    assert_eq!(xpath("count(//img)", &xml), "0");
}

#[needs("xmllint")]
fn containers_are_called_what_they_are() {
    let xml = rendered(|out| write(out, &samples::report(vec![samples::containers()])));
    assert_eq!(xpath("string(//testcase[2]/failure/@message)", &xml), "14 of 15 containers drifted");
    let text = xpath("string(//testcase[2]/failure)", &xml);
    for line in [
        "image changed: container image (traefik:v3.1 → traefik:v3.2, image id 6105d6… → d9298a…)",
        "removed: container gone (image traefik:v3.1, image id 6105d6…, state running, service web)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
