//! Very many files with little: few descriptors, and memory that is a small sum an entry.

use std::fs;
use std::process::Command;

use crate::harness::{FILES, TREES, World};
use needs::needs;

/// Trees that are broad and deep at once, more of them than there are threads, with something to read at every depth.
fn broad_and_deep(world: &World) {
    for module in 0..9 {
        for directory in 0..60 {
            world.write(format!("m{module}/broad/{directory}/a"), format!("{module} {directory}"));
            world.write(format!("m{module}/broad/{directory}/b/c"), "");
        }
        let mut deep = format!("m{module}");
        for level in 0..150 {
            deep.push_str("/deep");
            world.write(format!("{deep}/before"), level.to_string());
            world.write(format!("{deep}/zafter"), level.to_string());
        }
        // Long enough that every thread is at the bottom of its module while the others are.
        for large in 0..4 {
            world.write(format!("{deep}/large{large}"), vec![b'x'; 2_000_000]);
        }
    }
}

#[test]
fn sixty_four_descriptors_are_enough_for_seven_threads() {
    for declared in [TREES, FILES] {
        let world = World::in_memory(declared);
        broad_and_deep(&world);
        world.lock();
        let lock = world.lock_bytes();
        for command in ["check", "lock"] {
            if command == "lock" {
                fs::remove_file(world.path("locks/tree.lock.json")).unwrap();
            }
            let mut limited = Command::new("sh");
            limited.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_driftlock")]);
            limited.args([command, "--threads", "7"]);
            world.command(limited).code(0);
        }
        assert!(world.lock_bytes() == lock, "the lock made with few descriptors is another one");
        let mut hash = Command::new("sh");
        hash.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_driftlock")]);
        hash.args(["hash", "--format", "json", "--threads", "7", "root/m0", "root/m1", "root"]);
        world.command(hash).code(0);
    }
}

/// Files that take long, with small ones before, between and behind them in one directory.
#[needs(strace)]
fn files_that_take_long_are_read_with_any_number_of_threads() {
    let world = World::in_memory(TREES);
    for name in ["a", "c", "e", "g"] {
        for number in 0..50 {
            world.write(format!("m/{name}{number}"), format!("{name}{number}"));
        }
    }
    for (name, length) in [("b_long", 300 << 20), ("d_long", 301 << 20), ("f_long", 302 << 20)] {
        fs::File::create(world.root("m").join(name)).unwrap().set_len(length).unwrap();
    }
    world.lock();
    let lock = world.lock_bytes();
    let sums = Command::new("sha256sum").arg(world.root("m/d_long")).output().unwrap().stdout;
    let sum = String::from_utf8_lossy(&sums[..64]).into_owned();
    assert!(String::from_utf8_lossy(&lock).contains(&sum));
    for threads in ["1", "2", "7"] {
        world.driftlock(["check", "--threads", threads]).code(0);
    }
    let trace = world.path("trace");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-y", "-e", "trace=openat,openat2,close", "-o"]).arg(&trace);
    traced.arg(env!("CARGO_BIN_EXE_driftlock")).args(["check", "--threads", "2"]);
    world.command(traced).code(0);
    let trace = fs::read_to_string(trace).unwrap();
    // The file is opened once more when its turn comes, and then closed when it was read.
    let lines: Vec<&str> = trace.lines().collect();
    let at =
        |call: &str, name: &str| lines.iter().rposition(|line| line.contains(call) && line.contains(name)).unwrap();
    let first = at("close", "b_long");
    assert!(at("open", "d_long") < first, "another core begins the next one meanwhile");
    assert!(at("open", "g49") < first, "and the small ones are not left for the end");
}

/// Runs driftlock, and gives the most memory that was resident at once, in bytes.
///
/// By way of `time`, which is small: a process is charged for what the one that started it had resident.
fn most_resident(world: &World, arguments: &[&str]) -> u64 {
    let mut command = Command::new("time");
    command.args(["-f", "%M", "-o"]).arg(world.path("rss")).arg(env!("CARGO_BIN_EXE_driftlock")).args(arguments);
    world.command(command).code(0);
    fs::read_to_string(world.path("rss")).unwrap().trim().parse::<u64>().unwrap() * 1024
}

/// 300,000 tiny files, half of them in one directory.
fn three_hundred_thousand(world: &World) -> u64 {
    let make = |directory: &str, files: std::ops::Range<u32>| {
        let directory = world.root(directory);
        fs::create_dir_all(&directory).unwrap();
        for number in files {
            fs::write(directory.join(number.to_string()), number.to_string()).unwrap();
        }
    };
    make("one", 0..150_000);
    for directory in 0..300 {
        make(&format!("many/{directory}"), directory * 500..(directory + 1) * 500);
    }
    300_000
}

#[needs("time")]
fn memory_is_bounded_by_twenty_megabytes_and_a_hundred_bytes_an_entry() {
    let world = World::in_memory(FILES);
    let files = three_hundred_thousand(&world);
    let bound = 20_000_000 + 100 * files;
    let mut measured = Vec::new();
    for (kind, declared) in [("files", FILES), ("trees", TREES)] {
        fs::write(world.path("driftlock.toml"), declared).unwrap();
        let _ = fs::remove_dir_all(world.path("locks"));
        for (command, threads) in [("lock", "2"), ("check", "7")] {
            measured.push((kind, command, threads, most_resident(&world, &[command, "--threads", threads])));
        }
    }
    assert!(measured.iter().all(|(.., resident)| *resident <= bound), "more than {bound} bytes: {measured:#?}");
    println!("{measured:?}");
}
