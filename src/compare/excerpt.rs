//! The changed lines of a file, for reports that show them.

/// The most lines that a report has of one file, and the longest of them, in characters.
pub const LINES: usize = 20;
pub const LONGEST: usize = 400;

/// The part of a drifted file that a report shows. Not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excerpt {
    /// The first lines of a unified diff, from `@@` on, without line feeds; and how many more there are.
    Lines {
        lines: Vec<String>,
        left_out: u64,
    },
    Hidden(Hidden),
}

/// Why the lines are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It is not text.
    Binary,
    /// Its name or its contents look like a secret.
    Secret,
    /// It is too large for a report.
    Large,
    /// No reference has the locked contents.
    NoReference,
    /// It changed after it was checked, or can't be read.
    Unread,
    /// The server does not give contents.
    NotGiven,
    /// The report already shows the most files.
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

    /// The phrase in text reports.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Binary => "a binary file",
            Self::Secret => "not shown: it may be a secret",
            Self::Large => "not shown: it is larger than 64 KiB",
            Self::NoReference => "not shown: no reference has the locked contents",
            Self::Unread => "not shown: it changed meanwhile, or could not be read again",
            Self::NotGiven => "not shown: the server gives contents only to `driftlock collect --contents`",
            Self::Enough => "not shown: a report shows at most 100 files of a check, and 64 MiB of a server",
        }
    }
}
