//! SHA-256 is the same whichever kernel computes it, and only a kernel that the CPU has can be forced.

use std::fs;

use driftlock_lanes::Kernel;
use sha2::{Digest as _, Sha256};

use crate::harness::{FILES, KERNEL, TREES, World};
use crate::model::{Item, Model};

/// Files that end in other blocks of their lanes, whatever lies beside them: more than there are lanes of each kind. Some are
/// longer than a buffer, and some are queued for all threads.
fn lanes_that_end_at_different_blocks(world: &World) {
    let bytes: Vec<u8> = (0..3 << 20).map(|number: u32| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let write = |name: String, length: usize| world.write(name, &bytes[length % 97..][..length]);
    for length in (0..200).chain((0..40).map(|number| number * 3371)) {
        write(format!("m{}/small/{length}", length % 3), length);
    }
    for around in [64 << 10, 128 << 10, 1 << 20] {
        for length in around - 10..around + 10 {
            write(format!("m{}/{around}/{length}", length % 3), length);
        }
    }
    for number in 0..12 {
        write(format!("m0/large/{number}"), (1 << 20) + number * 50_000);
    }
}

#[test]
fn the_lock_is_the_same_under_every_kernel() {
    for declared in [FILES, TREES] {
        let world = World::in_memory(declared);
        lanes_that_end_at_different_blocks(&world);
        let kernels = Kernel::all();
        for (kernel, next) in kernels.iter().zip(kernels.iter().cycle().skip(1)) {
            world.driftlock(["lock", "--threads", "3"]).env(KERNEL, kernel.name()).code(0);
            for entry in world.entries() {
                let Some(sha256) = entry["sha256"].as_str() else { continue };
                let contents = fs::read(world.root(entry["path"].as_str().unwrap())).unwrap();
                let expected: String = Sha256::digest(contents).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(sha256, expected, "{kernel}, {}", entry["path"]);
            }
            // The lock and its modules' archives have digests of their own.
            world.driftlock(["check", "--threads", "1"]).env(KERNEL, next.name()).code(0);
        }
    }
}

#[test]
fn a_kernel_that_is_none_or_that_the_cpu_lacks_is_refused() {
    let world = World::declaring(FILES);
    world.write("a", "a");
    world.lock();
    let missing = Kernel::NAMES.into_iter().find(|name| Kernel::named(name.as_bytes()).is_err()).unwrap();
    let here: Vec<_> = Kernel::all().into_iter().map(Kernel::name).collect();
    let remedy = format!("unset {KERNEL}, or set it to one that this CPU has: {}", here.join(", "));
    for (name, problem) in [
        (missing, format!("{KERNEL} names a kernel that this CPU does not have: {missing}\n")),
        (
            "fast\x1b[2J",
            format!("{KERNEL} is not the name of a kernel: fast\\u{{1b}}[2J; there are {}\n", Kernel::NAMES.join(", ")),
        ),
    ] {
        for command in [&["check"][..], &["lock"], &["hash", "."], &["collect", "--allow", "/"]] {
            let said = world.driftlock(command).env(KERNEL, name).code(2).stderr();
            assert!(said.contains(&problem), "{said}");
            assert!(said.contains(&remedy), "{said}");
        }
    }
    world.driftlock(["check"]).env(KERNEL, "").code(0);
}

/// So many modules that a worker walks several at once with the kernels of many lanes, small and large files in them, and
/// one whose archive is long enough for a thread of its own.
#[test]
fn nars_of_many_modules_are_the_same_with_each_kernel() {
    let world = World::in_memory(TREES);
    let mut model = Model::default();
    let mut file = |path: String, size: usize| {
        let contents = (0..size).map(|at| (at / 50 + path.len() * size) as u8).collect();
        model.add(path.as_bytes(), Item::File { contents, mode: 0o644 });
    };
    for module in 0..80 {
        for number in 0..module % 9 {
            file(format!("m{module:02}/{number}/f"), module * number * 700);
            file(format!("m{module:02}/{number}/g"), number);
        }
        file(format!("m{module:02}/z"), if module % 20 == 7 { 300_000 } else { module });
    }
    for number in 0..60 {
        file(format!("m99/{number}"), 100_000);
    }
    file("m99/large".into(), 5_000_000);
    model.build(&world.path("root"));
    let expected = model.entries("trees", false);
    for kernel in Kernel::all() {
        for threads in ["1", "2"] {
            world.driftlock(["lock", "--threads", threads]).env(KERNEL, kernel.name()).code(0);
            assert!(world.entries() == expected, "{kernel} with {threads} threads");
            fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
        }
    }
}
