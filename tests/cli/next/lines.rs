//! The lines to paste, out of a text report.

const STEPS: [&str; 9] =
    ["see it", "who did it", "fetch it", "take it", "take one", "take all", "undo it", "undo one", "lock it"];

/// What each is for, and the line.
pub fn lines(text: &str) -> Vec<(String, String)> {
    let step = |line: &str| {
        let line = line.strip_prefix("      ")?;
        let what = STEPS.iter().find(|what| line.starts_with(&format!("{what} ")))?;
        Some(((*what).to_owned(), line[what.len()..].trim_start().to_owned()))
    };
    text.lines().filter_map(step).collect()
}

/// The one for that.
pub fn line(text: &str, what: &str) -> String {
    let found = lines(text).into_iter().find(|(found, _)| found == what);
    found.unwrap_or_else(|| panic!("nothing says {what} in\n{text}")).1
}
