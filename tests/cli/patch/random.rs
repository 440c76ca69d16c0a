//! Random trees, and what makes the one of the other.

use std::fs;

use proptest::prelude::*;

use super::{build, there_and_back};
use crate::harness::World;
use crate::model::{Item, declaration, model, on_disk};
use needs::needs;

/// There and back, whatever the trees are.
#[needs("git", "bash")]
fn git_apply_makes_the_one_of_the_other() {
    proptest!(on_disk(24, 100), |(before in model(), after in model(), common in model())| {
        let with = |mut model: crate::model::Model| {
            common.0.iter().for_each(|(path, item)| model.add(path, item.clone()));
            // git neither stores empty directories nor removes existing ones.
            model.0.retain(|_, item| *item != Item::Directory);
            model
        };
        let (before, after) = (with(before), with(after));
        let world = World::in_memory(&declaration("files", false, &[]));
        build(&before, &world.path(""));
        world.lock();
        fs::create_dir(world.path("reference")).unwrap();
        build(&before, &world.path("reference"));
        fs::remove_dir_all(world.path("root")).unwrap();
        build(&after, &world.path(""));
        let same = world.driftlock(["check", "--no-report"]).command.output().unwrap().status.success();
        if !same {
            there_and_back(&world);
        }
    });
}
