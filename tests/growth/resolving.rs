//! What resolves a drift: taking it into the lock, and showing it as a patch.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use driftlock::internals::accept::{Drifted, Names, taken, units, whole};
use driftlock::internals::patch::{self, Effort, Node};

use crate::samples::{self, entries};
use crate::trees::{Pair, WORST};
use crate::{Case, Input};

pub fn cases() -> Vec<Case> {
    let accept = WORST.iter().map(|&(name, make)| Case::new(format!("accept/{name}"), move |size| accept(make(size))));
    let contents: [(&str, fn(usize, &str) -> String); 4] = [
        ("many-lines", |size, line| format!("{line}\n").repeat(size / 2)),
        ("a-long-line", |size, line| line.repeat(size)),
        ("lines-that-come-again", |size, line| format!("{line}\nb\na\n").repeat(size / 6)),
        ("a-change-in-many-lines", |size, line| format!("{line}{}", "same\n".repeat(size / 5))),
    ];
    let patches = contents.into_iter().map(|(name, make)| {
        Case::new(format!("patch/{name}"), move |size| patch([make(size, "a"), make(size, "c")], b"file".to_vec()))
    });
    let path = Case::new("patch/a-long-path", |size| patch(["a".to_owned(), "c".to_owned()], b"\n/".repeat(size / 2)));
    accept.chain(patches).chain([path]).collect()
}

/// All that drifted is taken, by the directory that it is in.
fn accept(Pair { kind, locked, live }: Pair) -> Input {
    let bytes = [&locked, &live].map(|tree| crate::locks::lock(kind, tree).len()).iter().sum();
    let found = samples::compared(&locked, &live);
    let drifted = Drifted { kind, places: vec!["root".to_owned()], found };
    Input::to("taken", bytes, move || {
        let root = OsStr::from_bytes(b"root/");
        let names = Names::new([root]).expect("a name");
        let Ok(choices) = names.find(&[&drifted]) else { return 0 };
        let units = units(&drifted).expect("all drift was kept");
        if whole(&drifted, &units, &choices[0]).is_err() {
            return 0;
        }
        taken(&drifted, &choices[0], &mut entries(&locked), &mut entries(&live)).map_or(0, |_| 0)
    })
}

fn patch(contents: [String; 2], path: Vec<u8>) -> Input {
    let bytes = contents[0].len() + contents[1].len() + path.len();
    let [old, new] = contents.map(|text| (path.clone(), Node::File { executable: false, contents: text.into_bytes() }));
    Input::to("patch", bytes, move || {
        let mut out = Vec::new();
        patch::write(&mut out, Some(&old), Some(&new), &mut Effort::default()).expect("memory has no errors");
        out.len()
    })
}
