//! Recognises what editors, git and its extensions do to a lock file.

/// How a file was damaged. The damage names the cause; the rest of the file does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Spoiled {
    #[error("it starts with a byte order mark (EF BB BF)")]
    ByteOrderMark,
    #[error("its lines end with CR LF, as on Windows")]
    LineEnds,
    #[error("it has the marks of a merge conflict in it")]
    Conflict,
    #[error("it is a pointer of Git LFS, and not the file")]
    LfsPointer,
}

impl Spoiled {
    /// Inspects a line, including its line ending.
    #[must_use]
    pub fn of_line(line: &[u8], is_first: bool) -> Option<Self> {
        const MARKS: [&[u8]; 3] = [b"<<<<<<< ", b">>>>>>> ", b"||||||| "];
        if is_first && line.starts_with(b"\xef\xbb\xbf") {
            Some(Self::ByteOrderMark)
        } else if is_first && line.starts_with(b"version https://git-lfs.github.com/spec/") {
            Some(Self::LfsPointer)
        } else if MARKS.iter().any(|mark| line.starts_with(mark)) || line.trim_ascii_end() == b"=======" {
            Some(Self::Conflict)
        } else {
            line.ends_with(b"\r\n").then_some(Self::LineEnds)
        }
    }

    /// Inspects a whole text, in which some lines, but not all, may end with CR.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Option<Self> {
        let found = |(number, line)| Self::of_line(line, number == 0).filter(|spoiled| *spoiled != Self::LineEnds);
        let lines = || text.split_inclusive(|&byte| byte == b'\n');
        let ends = || lines().count() > 1 && lines().all(|line| line.ends_with(b"\r\n"));
        lines().enumerate().find_map(found).or_else(|| ends().then_some(Self::LineEnds))
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "restore it from git, and do not save it with an editor that adds one",
            Self::LineEnds => {
                "write `*.lock.json -text` and `*.lock.txt -text` into .gitattributes, and restore it from git"
            }
            Self::Conflict => {
                "take one side (`git checkout --ours` or `--theirs`), then run `driftlock lock` and review"
            }
            Self::LfsPointer => "run `git lfs pull`, or keep locks out of Git LFS",
        }
    }
}
