//! Computes which containers there should be, and their records.
//!
//! A container that contradicts the files is compared with the files. One that matches them is compared with the lock,
//! which has the image that a name meant, and the configuration hash if there is no file of hashes.

use std::collections::{HashMap, HashSet};

use super::image::Reference;
use super::{Image, Project, Service};
use crate::manifest::container::Compose;
use crate::manifest::list::EntryResult;
use crate::manifest::{Container, Content, List, Record};
use crate::path::EntryPath;

const RUNNING: &str = "running";

/// A container and its name.
#[derive(Clone, Copy)]
struct NamedContainer<'a> {
    path: &'a EntryPath,
    container: &'a Container,
}

impl Project {
    /// The containers as they would be if everything matched the files, and the lock beyond that. The names follow the
    /// live containers, because Compose assigns new numbers when it creates containers.
    #[must_use]
    pub fn expected(&self, lock: &List, live: &List) -> List {
        let locked: Vec<_> = named(lock).collect();
        let locked_names: HashMap<&EntryPath, &Container> =
            locked.iter().map(|named| (named.path, named.container)).collect();
        let mut locked_services: HashMap<&str, &Container> = HashMap::new();
        for named in &locked {
            locked_services.entry(service_of(named.container)).or_insert(named.container);
        }
        let mut of_services: HashMap<&str, Vec<NamedContainer<'_>>> = HashMap::new();
        for named in named(live) {
            of_services.entry(service_of(named.container)).or_default().push(named);
        }
        let used = UsedNames::of(self, live);
        let mut entries = Vec::new();
        for (name, service) in &self.services {
            let declared = DeclaredService { project: self, name, service };
            let there = of_services.remove(name.as_str()).unwrap_or_default();
            let there = declared.select_counted(there, &locked_names);
            for NamedContainer { path, container } in &there {
                let locked = locked_names.get(path).copied().filter(|locked| service_of(locked) == name);
                let locked = locked.or_else(|| locked_services.get(name.as_str()).copied());
                if let Some(expected) = declared.expected(container, locked) {
                    entries.push((EntryPath::clone(path), record(expected)));
                }
            }
            for path in declared.free_names(service.replicas - there.len() as u64, &used) {
                let locked = locked_names.get(&path).copied().filter(|locked| service_of(locked) == name);
                entries.push((path, record(declared.missing(locked))));
            }
        }
        List::new(entries)
    }

    /// The containers that contradict the files, independent of a lock.
    #[must_use]
    pub fn misfits(&self, live: &List) -> Misfits {
        // With the live state as the lock, only the files can contradict.
        let expected = self.expected(live, live);
        let expected: HashMap<&EntryPath, &EntryResult> = expected.iter().collect();
        let there: HashSet<&EntryPath> = live.iter().map(|(path, _)| path).collect();
        let differs = |(path, found): &(&EntryPath, &EntryResult)| found.is_ok() && expected.get(path) != Some(found);
        let mut missing: Vec<EntryPath> =
            expected.keys().filter(|path| !there.contains(**path)).map(|path| EntryPath::clone(path)).collect();
        missing.sort();
        Misfits { different: live.iter().filter(differs).map(|(path, _)| path.clone()).collect(), missing }
    }
}

/// Containers that contradict the files, by name, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfits {
    /// Different from what is declared, or not declared.
    pub different: Vec<EntryPath>,
    pub missing: Vec<EntryPath>,
}

fn named(list: &List) -> impl Iterator<Item = NamedContainer<'_>> {
    list.iter().filter_map(|(path, found)| match found {
        Ok(Record { content: Content::Container(container), .. }) => Some(NamedContainer { path, container }),
        _ => None,
    })
}

fn service_of(container: &Container) -> &str {
    container.compose.as_ref().map_or("", |compose| &compose.service)
}

fn record(container: Container) -> EntryResult {
    Ok(Record { content: Content::Container(Box::new(container)), attributes: None })
}

/// A service of a project.
struct DeclaredService<'a> {
    project: &'a Project,
    name: &'a str,
    service: &'a Service,
}

impl DeclaredService<'_> {
    /// Selects as many containers of the service as are declared, best matches first.
    fn select_counted<'l>(
        &self,
        mut there: Vec<NamedContainer<'l>>,
        locked: &HashMap<&EntryPath, &Container>,
    ) -> Vec<NamedContainer<'l>> {
        if let Some(name) = &self.service.container_name {
            there.retain(|named| named.path.as_bytes() == name.as_bytes());
        }
        there.sort_by_cached_key(|named| {
            let path = named.path.as_bytes();
            let is_known = self.number(path).is_some() || locked.contains_key(named.path);
            (!self.fits(named.container), !is_known, path.len(), path.to_vec())
        });
        there.truncate(usize::try_from(self.service.replicas).unwrap_or(usize::MAX));
        there
    }

    /// The number in a name that Compose assigned: `shop-web-1`, or `shop_web_1` in early versions.
    fn number(&self, path: &[u8]) -> Option<u64> {
        let number = ["-", "_"].into_iter().find_map(|dash| {
            let prefix = format!("{}{dash}{}{dash}", self.project.name, self.name);
            path.strip_prefix(prefix.as_bytes())
        });
        std::str::from_utf8(number?).ok()?.parse().ok()
    }

    fn fits(&self, container: &Container) -> bool {
        self.is_image(container) && self.is_state(container) && self.is_hash(container)
    }

    fn is_image(&self, container: &Container) -> bool {
        match &self.service.image {
            Image::Declared(_, reference) => reference.is_of(container),
            Image::Built => self.built().any(|name| Reference::parse(&name).is_some_and(|name| name.is_of(container))),
        }
    }

    fn is_state(&self, container: &Container) -> bool {
        match container.state.as_deref() {
            Some(RUNNING) => true,
            Some("exited" | "stopped") => self.service.ends,
            _ => false,
        }
    }

    fn is_hash(&self, container: &Container) -> bool {
        let said = container.compose.as_ref().map(|compose| &*compose.config_hash);
        self.service.hash.as_deref().is_none_or(|hash| said == Some(hash))
    }

    /// The names that Compose gives to an image that it builds without a declared name.
    fn built(&self) -> impl Iterator<Item = String> {
        ["-", "_"].into_iter().map(|dash| format!("{}{dash}{}", self.project.name, self.name))
    }

    fn image(&self) -> Box<str> {
        match &self.service.image {
            Image::Declared(image, _) => image.as_str().into(),
            Image::Built => self.built().next().unwrap_or_default().into(),
        }
    }

    /// The expected record of a live container; `None` if it matches the files and the lock has nothing to compare.
    fn expected(&self, there: &Container, locked: Option<&Container>) -> Option<Container> {
        if self.fits(there) {
            // A job may run or be done.
            return Some(self.with_hash(Container { state: there.state.clone(), ..locked?.clone() }));
        }
        let expected = match locked.filter(|locked| self.is_image(locked)) {
            Some(locked) => locked.clone(),
            None if self.is_image(there) => there.clone(),
            None => Container { image: self.image(), image_id: None, ..there.clone() },
        };
        let state = if self.is_state(there) { there.state.clone() } else { Some(RUNNING.into()) };
        Some(self.with_hash(Container { state, ..expected }))
    }

    /// Sets Compose's own hash, if there is one.
    fn with_hash(&self, mut container: Container) -> Container {
        if let (Some(compose), Some(hash)) = (&mut container.compose, &self.service.hash) {
            compose.config_hash = hash.as_str().into();
        }
        container
    }

    /// The expected record of a missing container.
    fn missing(&self, locked: Option<&Container>) -> Container {
        let running = || Some(RUNNING.into());
        if let Some(locked) = locked.filter(|locked| self.is_image(locked)) {
            let state = if self.is_state(locked) { locked.state.clone() } else { running() };
            return self.with_hash(Container { state, ..locked.clone() });
        }
        let compose = Compose {
            project: self.project.name.as_str().into(),
            service: self.name.into(),
            config_hash: Box::default(),
        };
        self.with_hash(Container {
            state: running(),
            compose: Some(Box::new(compose)),
            ..Container::of_image(self.image(), None)
        })
    }

    /// Names for missing containers of the service. A container that the engine lists but can't inspect may be the
    /// missing one, so its name comes first.
    fn free_names(&self, number: u64, used: &UsedNames<'_>) -> Vec<EntryPath> {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        if let Some(name) = &self.service.container_name {
            return EntryPath::new(name.as_bytes()).into_iter().take(number).collect();
        }
        let stems = self.built();
        let uninspected =
            stems.filter_map(|stem| used.uninspected.get(stem.as_bytes())).flatten().map(|path| EntryPath::clone(path));
        let numbered = (1..=u64::MAX)
            .filter_map(|number| {
                EntryPath::new(format!("{}-{}-{number}", self.project.name, self.name).into_bytes()).ok()
            })
            .filter(|path| !used.all.contains(path));
        uninspected.chain(numbered).take(number).collect()
    }
}

/// Names of live containers, and names that are reserved for one service.
struct UsedNames<'a> {
    all: HashSet<EntryPath>,
    /// Names of containers that could not be inspected, by the part before the number.
    uninspected: HashMap<&'a [u8], Vec<&'a EntryPath>>,
}

impl<'a> UsedNames<'a> {
    fn of(project: &Project, live: &'a List) -> Self {
        let mut uninspected: HashMap<&[u8], Vec<&EntryPath>> = HashMap::new();
        for (path, _) in live.iter().filter(|(_, found)| found.is_err()) {
            let name = path.as_bytes();
            let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            if let [stem @ .., b'-' | b'_'] = &name[..name.len() - digits] {
                uninspected.entry(stem).or_default().push(path);
            }
        }
        let own = project
            .services
            .values()
            .filter_map(|service| EntryPath::new(service.container_name.clone()?.into_bytes()).ok());
        Self { all: live.iter().map(|(path, _)| path.clone()).chain(own).collect(), uninspected }
    }
}
