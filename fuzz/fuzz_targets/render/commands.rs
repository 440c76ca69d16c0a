//! What GitHub's runner makes of a log.
//!
//! Source: `ActionCommand.TryParseV2` and `TryParse` of `actions/runner`, `src/Runner.Common/ActionCommand.cs`.

/// A command of the second version: `::name key=value,key=value::data`.
fn second(line: &str) -> Option<(&str, Vec<(&str, &str)>)> {
    let line = line.trim_start().strip_prefix("::")?;
    let (command, _) = line.split_once("::")?;
    let (name, properties) = command.split_once(' ').unwrap_or((command, ""));
    Some((name, properties.split(',').filter_map(|property| property.trim().split_once('=')).collect()))
}

/// A command of the first version: `##[name key=value;]data`, anywhere in a line.
fn first(line: &str) -> bool {
    line.find("##[").is_some_and(|at| line[at..].contains(']'))
}

/// No line is a command.
pub fn none(log: &str) {
    for line in log.lines() {
        assert!(second(line).is_none() && !first(line) && !line.contains("##vso["), "{line:?}");
    }
}

/// Each command is an annotation with what an annotation has.
pub fn github(log: &str) {
    for line in log.lines() {
        assert!(!first(line) && !line.contains("##vso["), "{line:?}");
        let Some((name, properties)) = second(line) else { continue };
        assert!(["error", "warning", "notice"].contains(&name), "{line:?}");
        let keys: Vec<_> = properties.iter().map(|&(key, _)| key).collect();
        assert!([&["file", "line", "title"][..], &["title"]].contains(&&keys[..]), "{keys:?} in {line:?}");
    }
    assert!(second(log.lines().last().unwrap_or_default()).is_some(), "the verdict is last");
}
