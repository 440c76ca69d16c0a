//! What Docker Compose says of its files, for the checks of kind `compose`: opened outside the sandbox, read inside it.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::fs::File;

use super::Session;
use super::collected::Source;
use crate::capability::{self, Declared, shown};
use crate::compose::{ComposeError, LIMIT, PROJECT, Project};
use crate::declaration::{Check, ComposeFiles};
use crate::trouble::Trouble;

/// A file with its path, for people.
type Named = (PathBuf, File);

/// The files of a check.
#[derive(Debug)]
pub(super) struct Files {
    config: Named,
    hashes: Option<Named>,
}

/// By the names of their checks.
pub(super) type Opened = HashMap<String, Result<Files, Trouble>>;
pub(super) type Projects = HashMap<String, Result<Project, Trouble>>;

/// Opens the files of all these checks.
pub(super) fn open<'a>(declared: &Declared, checks: impl Iterator<Item = &'a Check>) -> Opened {
    let open = |path: &Path, key| Ok((path.to_path_buf(), capability::configuration(&declared.base.join(path), key)?));
    let files = |ComposeFiles { config, hashes }: &ComposeFiles| {
        let hashes = hashes.as_deref().map(|hashes| open(hashes, "hashes")).transpose()?;
        Ok(Files { config: open(config, "config")?, hashes })
    };
    checks.filter_map(|check| Some((check.name.clone(), files(check.compose.as_ref()?)))).collect()
}

impl Files {
    fn read(self) -> Result<Project, Trouble> {
        let Self { config: (config_path, config), hashes } = self;
        let refused = |path: &Path, error: &ComposeError| {
            Trouble::new(format!("{} is refused: {error}", shown(path)), error.remedy())
        };
        let config = whole(&config_path, config)?;
        let Some((path, hashes)) = hashes else {
            return Project::parse(&config, None).map_err(|error| refused(&config_path, &error));
        };
        let hashes = whole(&path, hashes)?;
        Project::parse(&config, Some(&hashes)).map_err(|error| {
            let is_of_hashes = error.is_of_hashes();
            refused(if is_of_hashes { &path } else { &config_path }, &error)
        })
    }
}

/// All bytes, or a few too many, which are refused when they are parsed.
fn whole(path: &Path, file: File) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let read = file.take(LIMIT + 1).read_to_end(&mut bytes);
    read.map_err(|error: io::Error| {
        Trouble::new(format!("{} could not be read: {error}", shown(path)), "check the path and its permissions")
    })?;
    Ok(bytes)
}

impl Session {
    /// Reads the projects. From then on their checks pick their containers; one whose project can't be read reads nothing.
    pub(super) fn read_projects(&mut self) -> Projects {
        let opened = std::mem::take(&mut self.projects).into_iter();
        let projects: Projects = opened.map(|(check, files)| (check, files.and_then(Files::read))).collect();
        for (&index, source) in self.selected.iter().zip(&mut self.sources) {
            let Some(check) = self.declared.declaration.checks.get_mut(index) else { continue };
            match (projects.get(&check.name), &mut check.engine) {
                (Some(Ok(project)), Some(engine)) => {
                    engine.labels.insert(PROJECT.to_owned(), project.name.clone());
                }
                (Some(Err(trouble)), _) => *source = Err::<Source, _>(trouble.clone()),
                _ => {}
            }
        }
        projects
    }
}
