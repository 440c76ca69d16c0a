//! The files that Docker Compose printed, for checks of kind `compose`. Opened outside the sandbox, read inside it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::fs::File;

use super::Session;
use super::collected::CheckSource;
use crate::capability::{self, Declared, shown};
use crate::compose::{ComposeError, LIMIT, PROJECT, Project};
use crate::declaration::{Check, ComposeFiles};
use crate::digest::{Sha256, Sha256Digest};
use crate::error::{Error, ErrorKind};

/// The digests of the files, by the keys of the check that name them.
pub(super) type Inputs = Vec<(&'static str, Sha256Digest)>;

/// A file with its path, for messages.
type Named = (PathBuf, File);

/// The files of a check.
#[derive(Debug)]
pub(super) struct Files {
    config: Named,
    hashes: Option<Named>,
}

/// What Compose printed for a check.
#[derive(Debug)]
pub(super) enum Of {
    /// The open files, which are read inside the sandbox.
    CheckHandles(Files),
    /// The project, and the digests of the files that it was read from.
    Read(Project, Inputs),
    Failed(Error),
}

impl Of {
    /// Opens the files of a check, if it is of kind `compose`.
    pub fn open(declared: &Declared, check: &Check) -> Option<Self> {
        let ComposeFiles { config, hashes } = check.compose.as_ref()?;
        let open =
            |path: &Path, key| Ok((path.to_path_buf(), capability::configuration(&declared.base.join(path), key)?));
        let files = || {
            let hashes = hashes.as_deref().map(|hashes| open(hashes, "hashes")).transpose()?;
            Ok(Files { config: open(config, "config")?, hashes })
        };
        Some(files().map_or_else(Self::Failed, Self::CheckHandles))
    }

    fn read(self) -> Self {
        match self {
            Self::CheckHandles(files) => {
                files.read().map_or_else(Self::Failed, |(project, inputs)| Self::Read(project, inputs))
            }
            read => read,
        }
    }
}

impl Files {
    fn read(self) -> Result<(Project, Inputs), Error> {
        let Self { config: (config_path, config), hashes } = self;
        let refused = |path: &Path, error: &ComposeError| {
            Error::new(ErrorKind::Input, format!("{} is refused: {error}", shown(path)), error.help())
        };
        let config = whole(&config_path, config)?;
        let Some((path, hashes)) = hashes else {
            let project = Project::parse(&config, None).map_err(|error| refused(&config_path, &error))?;
            return Ok((project, vec![("config", digest(&config))]));
        };
        let hashes = whole(&path, hashes)?;
        let project = Project::parse(&config, Some(&hashes)).map_err(|error| {
            let is_of_hashes = error.is_of_hashes();
            refused(if is_of_hashes { &path } else { &config_path }, &error)
        })?;
        Ok((project, vec![("config", digest(&config)), ("hashes", digest(&hashes))]))
    }
}

/// All bytes. Of a file that is too large, some more than the limit, so that the parser refuses it.
fn whole(path: &Path, file: File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = file.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error: io::Error| {
        Error::new(
            ErrorKind::Input,
            format!("{} could not be read: {error}", shown(path)),
            "check the path and its permissions",
        )
    })?;
    Ok(bytes)
}

fn digest(bytes: &[u8]) -> Sha256Digest {
    let mut hasher = Sha256::new();
    hasher.update(bytes);
    hasher.finish()
}

impl Session {
    /// Reads the projects. From then on, each check selects the containers of its project. A check whose project can't
    /// be read reads nothing.
    pub(super) fn read_projects(&mut self) {
        for opened in &mut self.checks {
            opened.project = opened.project.take().map(Of::read);
            match &opened.project {
                Some(Of::Read(project, _)) => {
                    // Servers are asked for the declared engine; the engine here is the open one.
                    let declared = &mut self.declared.change().checks[opened.place].engine;
                    let open = match &mut opened.source {
                        Ok(CheckSource::Engine { engine, .. }) => Some(engine),
                        _ => None,
                    };
                    for engine in declared.iter_mut().chain(open) {
                        engine.labels.insert(PROJECT.to_owned(), project.name.clone());
                    }
                }
                Some(Of::Failed(trouble)) => opened.source = Err(trouble.clone()),
                Some(Of::CheckHandles(_)) | None => {}
            }
        }
    }
}
