//! What Compose prints, and a project against what runs.

use driftlock::internals::compare::{DifferenceBudget, compare};
use driftlock::internals::compose::Project;
use driftlock::internals::manifest::container::Compose;
use driftlock::internals::manifest::{Container, Content, List, Record, Sha256Digest, Unverified};
use driftlock::internals::path::EntryPath;

use crate::{Case, Input};

/// A configuration, its hashes, and how many containers there are of its service `web`.
#[derive(Default)]
struct Made {
    config: String,
    hashes: String,
    web: usize,
    /// How many of them the engine can't tell about.
    untold: usize,
    /// How many are declared and not there.
    missing: usize,
}

fn config(services: &str) -> String {
    format!("{{\"name\":\"shop\",\"services\":{{{services}}}}}")
}

fn list(number: usize, item: impl Fn(usize) -> String) -> String {
    (0..number).map(item).collect::<Vec<_>>().join(",")
}

pub fn cases() -> Vec<Case> {
    let all: [(&str, fn(usize) -> Made); 13] = [
        ("many-services", |size| Made {
            config: config(&list(size / 25, |number| format!("\"s{number}\":{{\"image\":\"i\"}}"))),
            ..Made::default()
        }),
        ("many-services-with-hashes", |size| {
            let number = size / 100;
            let hash = |number| format!("s{number} {}\n", "a".repeat(64));
            Made {
                config: config(&list(number, |number| format!("\"s{number}\":{{\"image\":\"i\"}}"))),
                hashes: (0..number).map(hash).collect(),
                ..Made::default()
            }
        }),
        ("many-services-and-one-twice", |size| {
            let services = list(size / 25, |number| format!("\"s{number}\":{{\"image\":\"i\"}}"));
            Made { config: config(&format!("{services},\"s0\":{{\"image\":\"i\"}}")), ..Made::default() }
        }),
        ("many-names-of-containers", |size| {
            let service = |number| format!("\"s{number}\":{{\"image\":\"i\",\"container_name\":\"c{number}\"}}");
            Made { config: config(&list(size / 50, service)), ..Made::default() }
        }),
        ("many-dependencies", |size| {
            let condition = "{\"condition\":\"service_completed_successfully\"}";
            let on = list(size / 60, |number| format!("\"s{number}\":{condition}"));
            Made { config: config(&format!("\"web\":{{\"image\":\"i\",\"depends_on\":{{{on}}}}}")), ..Made::default() }
        }),
        ("many-keys", |size| {
            let keys = list(size / 12, |number| format!("\"k{number}\":[{{}}]"));
            Made { config: config(&format!("\"web\":{{\"image\":\"i\",{keys}}}")), ..Made::default() }
        }),
        ("a-long-image", |size| Made {
            config: config(&format!("\"web\":{{\"image\":\"{}\"}}", "a/".repeat(size / 2) + "b")),
            web: 1,
            ..Made::default()
        }),
        // The longest that an image may be, once for each container that is missing.
        ("a-long-image-that-is-missing", |size| Made {
            config: config(&format!("\"web\":{{\"image\":\"{}\",\"scale\":{}}}", "a/".repeat(511) + "b", size / 1000)),
            missing: size / 100,
            ..Made::default()
        }),
        ("arrays-in-arrays", |size| Made { config: "[".repeat(size), ..Made::default() }),
        ("many-containers", |size| {
            let web = size / 100;
            Made { config: config(&format!("\"web\":{{\"image\":\"i\",\"scale\":{web}}}")), web, ..Made::default() }
        }),
        ("many-containers-that-are-missing", |size| Made {
            config: config(&format!("\"web\":{{\"image\":\"i\",\"scale\":{}}}", size / 100)),
            missing: size / 100,
            ..Made::default()
        }),
        ("many-containers-too-many", |size| Made {
            config: config("\"web\":{\"image\":\"i\"}"),
            web: size / 100,
            ..Made::default()
        }),
        ("many-containers-that-the-engine-fails-at", |size| {
            let number = size / 100;
            Made {
                config: config(&format!("\"web\":{{\"image\":\"i\",\"scale\":{number}}}")),
                web: number,
                untold: number / 2,
                ..Made::default()
            }
        }),
    ];
    let case = |(name, make): (&'static str, fn(usize) -> Made)| {
        Case::new(format!("compose/{name}"), move |size| {
            let made = make(size);
            // A container takes some hundred bytes, as its line in a lock does.
            let bytes = made.config.len() + made.hashes.len() + 100 * (made.web + made.missing);
            Input::to("compared", bytes, move || made.compared())
        })
    };
    all.into_iter().map(case).collect()
}

impl Made {
    fn compared(self) -> usize {
        let hashes = (!self.hashes.is_empty()).then_some(self.hashes.as_bytes());
        let project = match Project::parse(self.config.as_bytes(), hashes) {
            Err(error) => return error.to_string().len(),
            Ok(project) => project,
        };
        let container = |number: usize| {
            let path = EntryPath::new(format!("shop-web-{number}").into_bytes()).expect("a name");
            let found = if number < self.untold { Err(Unverified::Vanished) } else { Ok(container()) };
            (path, found)
        };
        let live = List::new((0..self.web).map(container).collect());
        let expected = project.expected(&live, &live);
        let found =
            compare(&mut DifferenceBudget::default(), &mut expected.entries(), &mut live.entries()).expect("lists");
        found.drift.len() + project.misfits(&live).different.len()
    }
}

fn container() -> Record {
    let compose = Compose { project: "shop".into(), service: "web".into(), config_hash: "a".into() };
    let container = Container {
        image: "i".into(),
        image_id: Some(Sha256Digest([1; 32])),
        state: Some("running".into()),
        compose: Some(Box::new(compose)),
        ..crate::trees::bare()
    };
    Record { content: Content::Container(Box::new(container)), attributes: None }
}
