//! The options about servers.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::cli::arguments::Servers;
use crate::error::{Error, ErrorKind};
use crate::remote::connection::Limits;
use crate::run;
use crate::run::servers::Pushed;

/// The default number of connections at once.
const JOBS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

impl Servers {
    /// Whether servers are named.
    pub const fn are_named(&self) -> bool {
        self.all_servers || !self.servers.is_empty() || !self.groups.is_empty()
    }

    /// Checks that no option for servers is given, and returns the time limit of the run itself.
    ///
    /// # Errors
    /// There is an option that is only for servers.
    pub fn none_but_timeout(&self) -> Result<Option<Duration>, Error> {
        Self { timeout: None, ..self.clone() }.none()?;
        Ok(self.timeout.map(|seconds| Duration::from_secs(seconds.get().into())))
    }

    /// Checks that no option for servers is given.
    ///
    /// # Errors
    /// There is one.
    pub fn none(&self) -> Result<(), Error> {
        let given = [
            (self.ssh_user.is_some(), "--ssh-user"),
            (self.ssh_key.is_some(), "--ssh-key"),
            (self.ssh_port.is_some(), "--ssh-port"),
            (self.push, "--push"),
            (self.push_binary.is_some(), "--push-binary"),
            (self.jobs.is_some(), "--jobs"),
            (self.connect_timeout.is_some(), "--connect-timeout"),
            (self.idle_timeout.is_some(), "--idle-timeout"),
            (self.timeout.is_some(), "--timeout"),
        ];
        match given.into_iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, option)) => Err(Error::new(
                ErrorKind::Usage,
                format!("{option} is for servers, and no server is named"),
                "name one with --server, those of a group with --group, or all with --all-servers",
            )),
        }
    }

    /// The options as the servers of a run.
    pub fn wanted(&self) -> run::Servers {
        let seconds =
            |given: Option<NonZeroU32>, default| Duration::from_secs(given.map_or(default, NonZeroU32::get).into());
        run::Servers {
            named: self.servers.clone(),
            groups: self.groups.clone(),
            all: self.all_servers,
            user: self.ssh_user.clone(),
            key: self.ssh_key.clone(),
            port: self.ssh_port,
            program: match (&self.push_binary, self.push) {
                (None, false) => Pushed::Nothing,
                (None, true) => Pushed::Own,
                (Some(file), _) => Pushed::File(file.clone()),
            },
            jobs: self.jobs.unwrap_or(JOBS),
            connect_timeout: seconds(self.connect_timeout, 15),
            limits: Limits { idle: seconds(self.idle_timeout, 60), total: seconds(self.timeout, 3600) },
        }
    }
}
