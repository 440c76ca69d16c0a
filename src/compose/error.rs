//! The errors of files with the output of Compose.

use crate::path::escaped;

/// Why a configuration or hashes are refused. No values are quoted, because some are secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    #[error("it is empty")]
    Empty,
    #[error("it is larger than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("it is not JSON, at line {line}, column {column}")]
    NotJson { line: usize, column: usize },
    #[error("it is not what Compose prints: {what}, at line {line}, column {column}")]
    Malformed { what: &'static str, line: usize, column: usize },
    #[error("it has no `name`, the name of the project")]
    NoName,
    #[error("`{}` is not a valid project name", escaped(.0.as_bytes()))]
    Name(String),
    #[error("a name in it is longer than {limit} bytes")]
    LongName { limit: usize },
    #[error("the image of the service {} is longer than {limit} bytes", escaped(.service.as_bytes()))]
    LongImage { service: String, limit: usize },
    #[error("it has no services")]
    NoServices,
    #[error("the service {} appears twice", escaped(.0.as_bytes()))]
    Twice(String),
    #[error("`{}` is not a valid service name", escaped(.0.as_bytes()))]
    ServiceName(String),
    #[error("it contains `include`, which Compose would have resolved")]
    Include,
    #[error("the service {} contains `extends`, which Compose would have resolved", escaped(.0.as_bytes()))]
    Extends(String),
    #[error("the service {} has neither `image` nor `build`", escaped(.0.as_bytes()))]
    NoImage(String),
    #[error("the image of the service {} is not a valid image reference, or contains a variable", escaped(.0.as_bytes()))]
    Image(String),
    #[error("the service {}: `scale` and `deploy.replicas` differ", escaped(.0.as_bytes()))]
    Replicas(String),
    #[error("the service {} has a `container_name` that is invalid or not unique", escaped(.0.as_bytes()))]
    ContainerName(String),
    #[error("it declares more than {most} containers")]
    TooMany { most: u64 },
    #[error("it is larger than {limit} bytes")]
    HashesTooLarge { limit: u64 },
    #[error("line {line} is not a service, a blank and 64 lower-case hexadecimal digits")]
    HashLine { line: usize },
    #[error("line {line}: the service {} appears twice", escaped(.service.as_bytes()))]
    HashTwice { line: usize, service: String },
    #[error("line {line}: the configuration has no service {}", escaped(.service.as_bytes()))]
    HashOfOther { line: usize, service: String },
    #[error("it has no hash of the service {}", escaped(.0.as_bytes()))]
    NoHash(String),
}

impl ComposeError {
    /// Whether it is about the hashes rather than the configuration.
    #[must_use]
    pub const fn is_of_hashes(&self) -> bool {
        matches!(
            self,
            Self::HashLine { .. }
                | Self::HashTwice { .. }
                | Self::HashOfOther { .. }
                | Self::NoHash(_)
                | Self::HashesTooLarge { .. }
        )
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            error if error.is_of_hashes() => {
                "write both again, for the same files and profiles, with `docker compose config --format json` and `docker compose config --hash '*'`"
            }
            Self::TooLarge { .. } | Self::TooMany { .. } => "declare a smaller project",
            _ => "write it with `docker compose config --format json`",
        }
    }
}
