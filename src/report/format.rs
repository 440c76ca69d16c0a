//! How several formats write names, paths and numbers.

use crate::path::escaped;
pub(super) use crate::path::{Prose, joined};

/// The check that every run makes first. A declaration may not use this name.
pub const LOCK_FILES_EXIST: &str = "lock_files_exist";

/// The next check, of a run that asks a server.
pub const SERVER_COLLECTION: &str = "server_collection";

/// The next check, of a run that verifies a seal.
pub const SEAL: &str = "seal";

/// The name of a check in sentences: `compose_hashes` is "compose". Escaped.
pub(super) fn stem(name: &str) -> String {
    let stem = ["_hashes", "_files", "_images"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let stem = stem.filter(|stem| !stem.is_empty()).unwrap_or(name);
    escaped(stem.replace('_', " ").as_bytes()).to_string()
}

/// The word for the containers of a check, from its name and stem: "docker images" for `docker_images`, "edge
/// containers" for `edge`.
pub(super) fn containers(name: &str, stem: &str) -> String {
    let noun = if name.ends_with("_images") { "images" } else { "containers" };
    if stem.ends_with(noun) { stem.to_owned() } else { format!("{stem} {noun}") }
}

/// A text with a capital letter, for the beginning of a sentence.
pub(super) fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// [`joined`], escaped.
pub(super) fn shown_path(root: &str, path: &[u8]) -> String {
    escaped(&joined(root, path)).to_string()
}

/// A number for people: `4,812`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 entry`, `4,812 entries`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_called_by_the_stem_of_its_name() {
        for (name, expected) in [
            ("compose_hashes", "compose"),
            ("addon_hashes", "addon"),
            ("docker_images", "docker"),
            ("etc_config_files", "etc config"),
            ("units", "units"),
            ("_hashes", " hashes"),
            ("a\n[PASS]_files", "a\\n[PASS]"),
        ] {
            assert_eq!(stem(name), expected);
        }
        for (name, expected) in [
            ("docker_images", "docker images"),
            ("edge", "edge containers"),
            ("containers", "containers"),
            ("edge_containers", "edge containers"),
        ] {
            assert_eq!(containers(name, &stem(name)), expected);
        }
        assert_eq!(capitalized("compose"), "Compose");
        assert_eq!(capitalized("ßa"), "SSa");
        assert_eq!(capitalized(""), "");
    }

    #[test]
    fn a_path_is_shown_below_its_root() {
        for (root, expected) in [
            ("infra/stacks", "infra/stacks/a"),
            ("infra/stacks/", "infra/stacks/a"),
            ("/", "/a"),
            (".", "a"),
            ("", "a"),
            ("../x", "../x/a"),
        ] {
            assert_eq!(shown_path(root, b"a"), expected, "{root:?}");
        }
    }

    #[test]
    fn numbers_have_commas() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(counted(2, "entry", "entries"), "2 entries");
    }
}
