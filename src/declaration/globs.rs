//! Refuses globs that can't match any path below a root.
//!
//! A glob is matched against relative paths without `.`, `..` and empty names ([`crate::path`]). A glob that requires
//! such a name matches nothing, though its author believes that something is watched. Braces can contain names and
//! slashes (`a{/..,b}`), so this follows all alternatives at once: after each character it knows the set of possible
//! forms of the current name.

use super::Problem;

/// The longest path that Linux accepts in one call.
const LONGEST: usize = 4096;
/// Nested braces use stack when `globset` compiles them.
const MOST_BRACES: usize = 64;
/// Each slash adds a glob for the directory before it.
const MOST_SLASHES: usize = 128;

/// The possible forms of the current name, as a set of bits.
type Names = u8;
/// At the start of the glob.
const START: Names = 1;
/// Right after a slash.
const EMPTY: Names = 1 << 1;
const DOT: Names = 1 << 2;
const DOT_DOT: Names = 1 << 3;
const OTHER: Names = 1 << 4;

/// Checks one glob, except for its syntax, which `globset` checks.
pub fn check(glob: &str) -> Result<(), Problem> {
    let count = |character| glob.matches(character).count();
    if glob.len() > LONGEST || count('{') > MOST_BRACES || count('/') > MOST_SLASHES {
        return Err(Problem::GlobTooLarge { glob: glob.to_owned() });
    }
    if glob.starts_with('!') {
        return Err(Problem::GlobNegated { glob: glob.to_owned() });
    }
    let mut names = START;
    // For each open brace: the possible forms before it, and after the alternatives so far.
    let mut braces: Vec<(Names, Names)> = Vec::new();
    let mut rest = glob.chars();
    // Whether `**` is allowed here: at the start of a name or an alternative.
    let mut begins = true;
    while let Some(character) = rest.next() {
        let began = std::mem::replace(&mut begins, matches!(character, '/' | '{' | ','));
        match character {
            '*' if rest.as_str().starts_with('*') => {
                let behind = rest.as_str().trim_start_matches('*');
                let whole = rest.as_str().len() == behind.len() + 1;
                let ends = behind.is_empty() || behind.starts_with(['/', '}', ',']);
                if !(began && whole && ends) {
                    return Err(Problem::GlobStars { glob: glob.to_owned(), instead: in_own_names(glob) });
                }
                rest = behind.chars();
                names = OTHER;
            }
            '/' => {
                ends(glob, names)?;
                names = EMPTY;
            }
            '{' => braces.push((names, 0)),
            ',' => match braces.last_mut() {
                Some((before, after)) => {
                    *after |= names;
                    names = *before;
                }
                None => names = OTHER,
            },
            '}' => match braces.pop() {
                Some((_, after)) => names |= after,
                None => names = OTHER,
            },
            '[' => {
                if !skip_class(&mut rest) {
                    return Err(Problem::GlobClass { glob: glob.to_owned() });
                }
                names = OTHER;
            }
            '\\' => names = then(names, rest.next().unwrap_or('\\')),
            _ => names = then(names, character),
        }
    }
    ends(glob, names)
}

/// Rewrites `**` within a name as a name of its own: `a/**.conf` becomes `a/**/*.conf`.
fn in_own_names(glob: &str) -> String {
    let name = |name: &str| {
        let parts: Vec<_> = name.split("**").map(|part| part.trim_matches('*')).collect();
        match parts[..] {
            [only] => only.to_owned(),
            ["", ""] => "**".to_owned(),
            ["", rest] => format!("**/*{rest}"),
            [rest, ""] => format!("{rest}*/**"),
            _ => parts.join("*"),
        }
    };
    glob.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// The possible forms after one more character.
fn then(names: Names, character: char) -> Names {
    if character != '.' {
        return OTHER;
    }
    let mut next = 0;
    for (before, after) in [(START | EMPTY, DOT), (DOT, DOT_DOT), (DOT_DOT | OTHER, OTHER)] {
        if names & before != 0 {
            next |= after;
        }
    }
    next
}

/// Refuses the glob if the name that ends here can be one that no path has.
fn ends(glob: &str, names: Names) -> Result<(), Problem> {
    let glob = glob.to_owned();
    if names & START != 0 {
        Err(Problem::GlobAbsolute { glob, below: None })
    } else if names & EMPTY != 0 {
        Err(Problem::GlobEmptyName { glob })
    } else if names & DOT_DOT != 0 {
        Err(Problem::GlobDots { glob, name: ".." })
    } else if names & DOT != 0 {
        Err(Problem::GlobDots { glob, name: "." })
    } else {
        Ok(())
    }
}

/// Skips a character class; a `]` right after `[`, `[!` or `[^` is literal. Returns whether the class is all ASCII.
/// Globs match bytes, so a multi-byte character in a class would never match.
fn skip_class(rest: &mut std::str::Chars<'_>) -> bool {
    let mut ahead = rest.clone();
    if matches!(ahead.next(), Some('!' | '^')) {
        rest.next();
    }
    let mut ascii = rest.next().is_none_or(|character| character.is_ascii());
    for character in rest.by_ref() {
        if character == ']' {
            break;
        }
        ascii &= character.is_ascii();
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_could_never_match_is_refused() {
        for glob in ["m/[éx]z", "[!é]", "[^]é]", "{a,[文]}"] {
            assert_eq!(check(glob), Err(Problem::GlobClass { glob: glob.to_owned() }));
        }
        for glob in ["m/é[xy]z", "[]x]é", "{é,x}z"] {
            assert_eq!(check(glob), Ok(()));
        }
    }

    #[test]
    fn follows_every_alternative() {
        let glob = |glob: &str| glob.to_owned();
        for (text, problem) in [
            ("/etc/*", Problem::GlobAbsolute { glob: glob("/etc/*"), below: None }),
            ("{a,/b}", Problem::GlobAbsolute { glob: glob("{a,/b}"), below: None }),
            ("{a,}/b", Problem::GlobAbsolute { glob: glob("{a,}/b"), below: None }),
            ("../a", Problem::GlobDots { glob: glob("../a"), name: ".." }),
            ("a/..", Problem::GlobDots { glob: glob("a/.."), name: ".." }),
            ("a{/..,b}/c", Problem::GlobDots { glob: glob("a{/..,b}/c"), name: ".." }),
            ("a/.{.,b}/c", Problem::GlobDots { glob: glob("a/.{.,b}/c"), name: ".." }),
            ("a/\\./c", Problem::GlobDots { glob: glob("a/\\./c"), name: "." }),
            ("./a", Problem::GlobDots { glob: glob("./a"), name: "." }),
            ("a//b", Problem::GlobEmptyName { glob: glob("a//b") }),
            ("a/", Problem::GlobEmptyName { glob: glob("a/") }),
            ("a/{b,}", Problem::GlobEmptyName { glob: glob("a/{b,}") }),
            ("a/{{b,},c}", Problem::GlobEmptyName { glob: glob("a/{{b,},c}") }),
        ] {
            assert_eq!(check(text), Err(problem), "{text}");
        }
        for text in [
            "**", "a..b/c", "...", ".a/.b", "v{.,-}1", "a{/b,}", "[/.]x", "[]]/a", "[!]]/a", "\\{/a", "a,b", "}", "[",
            "\\",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    /// `globset` treats them as `*`, so deeper paths would be missed.
    #[test]
    fn two_stars_inside_of_a_name_are_refused() {
        for (glob, instead) in [
            ("**.conf", "**/*.conf"),
            ("nginx/**.conf", "nginx/**/*.conf"),
            ("**cache", "**/*cache"),
            ("**cache/x", "**/*cache/x"),
            ("conf**", "conf*/**"),
            ("a**b", "a*b"),
            ("a/***", "a/**"),
            ("{a,**b}", "{a,*b}"),
            ("{a,b}**", "{a,b}*/**"),
        ] {
            let problem = Problem::GlobStars { glob: glob.to_owned(), instead: instead.to_owned() };
            assert_eq!(check(glob), Err(problem), "{glob}");
        }
        for glob in ["**", "**/*.conf", "a/**", "a/**/b", "{**/a,b/**}", "\\**", "[**]a", "a{/**,b}"] {
            assert_eq!(check(glob), Ok(()), "{glob}");
        }
    }

    #[test]
    fn a_negated_glob_is_refused() {
        assert_eq!(check("!x"), Err(Problem::GlobNegated { glob: "!x".to_owned() }));
        for glob in ["\\!x", "a!x", "[!x]", "a/!x"] {
            assert_eq!(check(glob), Ok(()), "{glob}");
        }
    }

    #[test]
    fn bounds_what_must_be_compiled() {
        let braces = "{".repeat(65);
        assert_eq!(check(&braces), Err(Problem::GlobTooLarge { glob: braces.clone() }));
        let deep = "a/".repeat(129);
        assert_eq!(check(&deep), Err(Problem::GlobTooLarge { glob: deep.clone() }));
        let long = "a".repeat(4097);
        assert_eq!(check(&long), Err(Problem::GlobTooLarge { glob: long.clone() }));
        assert_eq!(check(&long[..4096]), Ok(()));
    }
}
