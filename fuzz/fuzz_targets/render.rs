//! Any report in any form. What is XML is read by a parser that is not ours.
#![no_main]

use driftlock::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::render(data);
    let report = fuzzing::report_of(data);
    for (name, form) in fuzzing::forms(&report) {
        if name == "junit" {
            let options = roxmltree::ParsingOptions { allow_dtd: true, ..roxmltree::ParsingOptions::default() };
            let document = roxmltree::Document::parse_with_options(&form, options).unwrap();
            let elements = [
                "testsuites",
                "testsuite",
                "testcase",
                "failure",
                "error",
                "skipped",
                "properties",
                "property",
                "system-out",
            ];
            for node in document.descendants().filter(roxmltree::Node::is_element) {
                assert!(elements.contains(&node.tag_name().name()), "{:?} in {form}", node.tag_name());
            }
        }
    }
});
