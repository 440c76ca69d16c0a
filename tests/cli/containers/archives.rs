//! Archives of files in a container: those of other programs give the files that they hold, and invalid ones are refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::fake::{Reply, chunked, inspected, listen, well_behaved};
use crate::harness::{World, the_check};
use needs::needs;

const FILES: &str = "locks = \"here\"\nreports = \"reports\"\n[check.tree]\nkind = \"files\"\nroot = \"root\"\n\
    include = [\"**\"]\nattributes = [\"mode\", \"owner\"]\n";
const INSIDE: &str = "locks = \"locks\"\nreports = \"reports\"\n[check.tree]\nkind = \"container_files\"\n\
    socket = \"engine.sock\"\ncontainer = \"web\"\nroot = \"/etc\"\nattributes = [\"mode\", \"owner\"]\n";

/// `{"mode":2147484141}`: a directory.
const DIRECTORY: &str = "X-Docker-Container-Path-Stat: eyJtb2RlIjoyMTQ3NDg0MTQxfQ==\r\n";
/// `{"mode":420}`: a file.
const FILE: &str = "X-Docker-Container-Path-Stat: eyJtb2RlIjo0MjB9\r\n";

/// An engine whose one container sends this archive.
fn sends(world: &World, head: &'static str, archive: Vec<u8>, size: usize) {
    listen(&world.path("engine.sock"), move |target| match target {
        _ if target.ends_with("/archive?path=%2Fetc%2F.") => chunked(head, &archive, size),
        "/v1.41/containers/web/json" => super::fake::answer(200, inspected()),
        _ => well_behaved(target),
    });
}

fn lines(lock: &[u8]) -> Vec<String> {
    let text = String::from_utf8(lock.to_vec()).unwrap();
    text.lines().filter(|line| line.starts_with("{\"path")).map(str::to_owned).collect()
}

/// GNU tar and Python's tarfile, in every format that they have: names and links of all lengths around those that a header
/// has room for.
#[needs(root, "python3", "tar")]
fn archives_of_other_programs() {
    let world = World::declaring(FILES);
    for length in [1, 98, 99, 100, 101, 154, 155, 156, 254, 255] {
        world.write("n".repeat(length), "n");
        world.write(format!("{}/{}", "d".repeat(length.min(250)), "f".repeat(length)), "f");
    }
    for length in [99, 100, 101, 1000] {
        symlink("t".repeat(length), world.root(format!("link{length}"))).unwrap();
    }
    world.write(b"\xff\xfe", "bytes");
    world.write("grüße\n", "ü");
    for size in [0, 1, 511, 512, 513, 70_000] {
        world.write(format!("size{size}"), vec![b's'; size]);
    }
    fs::hard_link(world.root("size513"), world.root("zz-hard")).unwrap();
    std::os::unix::fs::chown(world.root("size1"), Some(3_000_000), Some(3_000_000)).unwrap();
    world.lock();
    let expected = lines(&fs::read(world.path("here/tree.lock.json")).unwrap());
    assert!(expected.len() > 30);

    fs::write(world.path("driftlock.toml"), INSIDE).unwrap();
    let python = "import sys, tarfile\n\
        with tarfile.open(sys.argv[2], 'w', format=getattr(tarfile, sys.argv[1])) as archive: archive.add('.')\n";
    for (number, format) in ["gnu", "pax", "PAX_FORMAT", "GNU_FORMAT"].into_iter().enumerate() {
        let archive = world.path(format!("{number}.tar"));
        let mut command = if format.ends_with("FORMAT") {
            let mut command = Command::new("python3");
            command.args(["-c", python, format]).arg(&archive);
            command
        } else {
            let mut command = Command::new("tar");
            command.arg(format!("--format={format}")).arg("-cf").arg(&archive).arg(".");
            command
        };
        assert!(command.current_dir(world.path("root")).status().unwrap().success(), "{format}");
        for size in [511, 65_536] {
            let _ = fs::remove_file(world.path("locks/tree.lock.json"));
            sends(&world, DIRECTORY, fs::read(&archive).unwrap(), size);
            world.lock();
            assert_eq!(lines(&world.lock_bytes()), expected, "{format}");
        }
    }
}

/// A header, its checksum right, and contents.
fn entry(name: &str, flag: u8, link: &str, contents: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", contents.len()).as_bytes());
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    let archive = [&sealed(block)[..], contents].concat();
    let whole = archive.len().next_multiple_of(512);
    [archive.clone(), vec![0; whole - archive.len()]].concat()
}

fn sealed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// What else is refused is in the unit tests of `src/container/files`.
#[test]
fn an_archive_that_is_refused_is_trouble() {
    let world = World::declaring(INSIDE);
    let whole = [entry("a", b'0', "", b"a"), vec![0; 1024]].concat();
    sends(&world, DIRECTORY, whole.clone(), 100);
    world.lock();
    for (head, archive, problem) in [
        (DIRECTORY, whole[..300].to_vec(), "it is truncated"),
        (DIRECTORY, [entry("../a", b'0', "", b""), vec![0; 1024]].concat(), "an invalid path"),
        (FILE, whole.clone(), "has no directory /etc"),
        ("", whole.clone(), "it does not describe the root of the archive"),
        ("X-Docker-Container-Path-Stat: !\r\n", whole.clone(), "it does not describe the root of the archive"),
    ] {
        sends(&world, head, archive, 100);
        let report = world.check(2);
        let said = the_check(&report)["trouble"]["problem"].as_str().unwrap();
        assert!(said.contains(problem), "{problem}: {said}");
    }
    sends(&world, DIRECTORY, whole, 100);
    world.check(0);
}

/// An archive of endless names takes no more memory than is sensible.
#[test]
fn an_archive_without_an_end() {
    let world = World::declaring(INSIDE);
    let name = |number: u32| {
        let long = [format!("{number:08}").into_bytes(), b"n/".repeat(450_000), b"n".to_vec()].concat();
        [entry("n", b'L', "", &long), entry("short", b'0', "", b"")].concat()
    };
    sends(&world, DIRECTORY, [name(1), vec![0; 1024]].concat(), 65_536);
    world.lock();
    let names: Vec<u8> = (0..80).flat_map(name).collect();
    listen(&world.path("engine.sock"), move |target| match target {
        _ if target.ends_with("/archive?path=%2Fetc%2F.") => {
            let length = names.len() * 1000;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{DIRECTORY}\r\n");
            Reply::Endless(head.into_bytes(), names.clone())
        }
        "/v1.41/containers/web/json" => super::fake::answer(200, inspected()),
        _ => well_behaved(target),
    });
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -v 2000000; exec \"$0\" check --json", env!("CARGO_BIN_EXE_driftlock")]);
    let report = world.command(limited).code(2).json();
    let said = the_check(&report)["trouble"]["problem"].as_str().unwrap();
    assert!(said.contains("more than 67108864 bytes of names in an archive"), "{said}");
}
