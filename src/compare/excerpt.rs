//! The lines that changed in a file, as a report has them where that was asked for.

/// How many lines a report has of one file, and the longest of them, in characters.
pub const LINES: usize = 20;
pub const LONGEST: usize = 400;

/// What a report shows of the contents of a file that drifted. Raw: whatever shows it makes it harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excerpt {
    /// The first lines of a unified diff from its `@@` on, without their line feeds, and how many there are more.
    Lines {
        lines: Vec<String>,
        left_out: u64,
    },
    Hidden(Hidden),
}

/// Why the lines are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It is no text.
    Binary,
    /// Its name or its contents are those of a secret.
    Secret,
    /// It has more than a report shows.
    Large,
    /// Nothing has what is locked.
    NoReference,
    /// It is not what it was when it was checked, or can't be read.
    Unread,
    /// The server gives no contents.
    NotGiven,
    /// So many others are shown.
    Enough,
}

impl Hidden {
    pub const ALL: [Self; 7] =
        [Self::Binary, Self::Secret, Self::Large, Self::NoReference, Self::Unread, Self::NotGiven, Self::Enough];

    /// The word in JSON reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Secret => "secret",
            Self::Large => "large",
            Self::NoReference => "no_reference",
            Self::Unread => "unread",
            Self::NotGiven => "not_given",
            Self::Enough => "enough",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Binary => "a binary file",
            Self::Secret => "not shown: it may be a secret",
            Self::Large => "not shown: it is larger than 64 KiB",
            Self::NoReference => "not shown: no reference has what is locked",
            Self::Unread => "not shown: it could not be read again as it was",
            Self::NotGiven => "not shown: the server gives contents only to `driftlock collect --contents`",
            Self::Enough => "not shown: a report shows 100 files of a check, and 64 MiB of a server",
        }
    }
}
