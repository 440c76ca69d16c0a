//! What must not be possible from inside, and which layer sees to it.
//!
//! Every attempt runs under no layer, under each alone, and under both. Without a layer it has to succeed, so that the
//! refusals prove something; under one that doesn't claim it, it has to succeed too, so that each claim is that layer's.

mod files;
mod network;
mod processes;

use std::collections::BTreeSet;
use std::io;

use driftlock::internals::sandbox;
use libc::{EPERM, c_int};

use crate::child::Inside;
use crate::scene::{Layers, Scene, is_root, said};

/// The second half of an attempt, which runs inside.
pub type Try = Box<dyn FnOnce() -> io::Result<()>>;

pub struct Attempt {
    pub name: &'static str,
    /// Whether the sandbox grants writing below `out`.
    pub writes: bool,
    /// Whether it grants removing there, too.
    pub removes: bool,
    /// Opens and starts what the attempt needs, outside.
    pub prepare: fn(&Inside) -> Try,
    pub plain: Plain,
    /// The first ABI under which Landlock refuses it, and with what.
    pub landlock: Option<(u32, c_int)>,
    pub seccomp: Option<c_int>,
}

/// How it goes without a sandbox.
#[derive(Clone, Copy)]
pub enum Plain {
    Works,
    /// For root. The kernel refuses it to every other user, which proves nothing about a layer.
    WorksForRoot,
    /// With this error, which shows that the call was let in.
    Fails(c_int),
    /// Unless the machine has it switched off, for which it has these errors.
    MayBeOff(&'static [c_int]),
}

impl Attempt {
    pub const fn new(name: &'static str, prepare: fn(&Inside) -> Try) -> Self {
        Self { name, writes: false, removes: false, prepare, plain: Plain::Works, landlock: None, seccomp: None }
    }

    pub const fn writes(self) -> Self {
        Self { writes: true, ..self }
    }

    pub const fn removes(self) -> Self {
        Self { writes: true, removes: true, ..self }
    }

    pub const fn plain(self, plain: Plain) -> Self {
        Self { plain, ..self }
    }

    pub const fn landlock(self, since: u32, errno: c_int) -> Self {
        Self { landlock: Some((since, errno)), ..self }
    }

    pub const fn seccomp(self) -> Self {
        self.seccomp_with(EPERM)
    }

    pub const fn seccomp_with(self, errno: c_int) -> Self {
        Self { seccomp: Some(errno), ..self }
    }

    /// What the child has to say on a kernel with this ABI.
    pub fn expected(&self, layers: Layers, abi: u32) -> String {
        let landlock = self.landlock.filter(|(since, _)| *since <= abi).map(|(_, errno)| errno);
        let refused = match layers {
            Layers::None => None,
            Layers::Landlock => landlock,
            Layers::Seccomp => self.seccomp,
            // A filter is asked at the door, before any object is looked at.
            Layers::All => self.seccomp.or(landlock),
        };
        match (refused, self.plain) {
            (Some(errno), _) | (None, Plain::Fails(errno)) => format!("errno {errno}"),
            (None, _) => "ok".into(),
        }
    }

    /// Whether it shows anything when tried by such a user.
    pub fn shows(&self, root: bool) -> bool {
        root || !matches!(self.plain, Plain::WorksForRoot)
    }

    fn is_off(&self, plain: &str) -> bool {
        matches!(self.plain, Plain::MayBeOff(errors) if errors.iter().any(|errno| plain == format!("errno {errno}")))
    }
}

pub fn all() -> impl Iterator<Item = &'static Attempt> {
    [files::ATTEMPTS, network::ATTEMPTS, processes::ATTEMPTS].into_iter().flatten()
}

/// The child's side.
pub fn attempt(name: &str, inside: &Inside) -> io::Result<()> {
    let attempt = all().find(|attempt| attempt.name == name).expect("an attempt of that name");
    let attempted = (attempt.prepare)(inside);
    inside.enter_with(attempt.writes, attempt.removes);
    attempted()
}

pub fn each_layer_refuses_what_it_claims() {
    each_attempt(false);
}

pub fn each_layer_refuses_it_to_an_unprivileged_user() {
    if is_root() {
        each_attempt(true);
    } else {
        println!("note: this is an unprivileged user already");
    }
}

fn each_attempt(unprivileged: bool) {
    let abi = sandbox::available().landlock.map_or(0, |landlock| landlock.abi);
    assert!(abi > 0, "these tests need a kernel with Landlock");
    let names: BTreeSet<_> = all().map(|attempt| attempt.name).collect();
    assert_eq!(names.len(), all().count(), "two attempts have one name");

    let mut wrong = Vec::new();
    for attempt in all().filter(|attempt| attempt.shows(is_root() && !unprivileged)) {
        // Each in a place of its own: an attempt that succeeds changes things.
        let run = |layers: Layers| {
            let scene = Scene::new(unprivileged);
            said(scene.command(&format!("attempt:{}", attempt.name), layers))
        };
        let plain = run(Layers::None);
        let off = attempt.is_off(&plain);
        if off {
            println!("note: {}: {plain} without a sandbox, so only that it is refused is shown", attempt.name);
        } else if plain != attempt.expected(Layers::None, abi) {
            wrong.push(format!("{}: without a sandbox it says {plain}, and so shows nothing", attempt.name));
        }
        for layers in [Layers::Landlock, Layers::Seccomp, Layers::All] {
            let expected = attempt.expected(layers, abi);
            let said = run(layers);
            if said != expected && !(off && said == plain) {
                wrong.push(format!("{} under {}: says {said}, not {expected}", attempt.name, layers.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
