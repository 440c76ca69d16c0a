//! `nar` and `driftlock hash --format nar` against Nix itself, the `nix-nar` crate, and the writer in the model.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use needs::needs;
use proptest::strategy::{Strategy as _, ValueTree as _};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use sha2::{Digest as _, Sha256};

use crate::harness::{TREES, World};
use crate::model::{Item, Model, declaration, hex, model, sri};
use crate::oracles::{directories_of_usr, on_stable};

/// What `nix hash path` prints.
fn nix_hash(path: &Path) -> String {
    let mut nix = Command::new("nix");
    nix.args(["--extra-experimental-features", "nix-command", "hash", "path"]).arg(path);
    let output = nix.output().expect("these tests need Nix: install Debian's nix-bin");
    assert!(output.status.success(), "{path:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn hash_nar(world: &World, path: &Path) -> String {
    let mut arguments = vec![OsStr::new("hash"), OsStr::new("--format"), OsStr::new("nar")];
    arguments.push(path.as_os_str());
    world.driftlock(arguments).code(0).stdout().trim_end().to_owned()
}

/// The `nar` of a module in the lock.
fn nar(world: &World, module: &str) -> String {
    world.entry(module)["nar"].as_str().unwrap().to_owned()
}

/// SHA-256 of what `nix-store --dump` writes.
fn dumped(path: &Path) -> String {
    let output = Command::new("nix-store").arg("--dump").arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    sri(&Sha256::digest(&output.stdout))
}

/// SHA-256 of what the `nix-nar` crate writes; it can do names in UTF-8 only.
fn encoded(path: &Path) -> String {
    let mut encoder = nix_nar::Encoder::new(path).unwrap();
    let (mut hasher, mut buffer) = (Sha256::new(), [0; 8192]);
    loop {
        match encoder.read(&mut buffer).unwrap() {
            0 => return sri(&hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[needs("nix")]
fn nar_of_directories_below_usr_is_that_of_nix() {
    on_stable("/usr", || {
        let (taken, left_out) = directories_of_usr();
        let exclude = format!("exclude = {left_out:?}\n");
        let world = World::declaring(&TREES.replace("root = \"root\"\n", &format!("root = \"/usr\"\n{exclude}")));
        world.lock();
        let modules = world.entries().iter().filter(|entry| entry.get("nar").is_some()).count();
        assert_eq!(modules, taken.len());
        for name in taken {
            assert_eq!(nar(&world, &name), nix_hash(&Path::new("/usr").join(&name)), "/usr/{name}");
        }
    });
}

/// A module that has everything that archives get wrong, in names of UTF-8.
fn nasty() -> Model {
    let mut model = Model::default();
    let file = |contents: &[u8], mode| Item::File { contents: contents.to_vec(), mode };
    // `/` sorts behind `-` and `.` and before `0`: within a directory the order is that of names, not of paths.
    for path in ["a/b", "a-", "a.b", "a0", "a", "A", "a/a/a", "a/a-", "\u{e9}", "e\u{301}", "\u{1f980}"] {
        model.add(format!("m/order/{path}").as_bytes(), file(path.as_bytes(), 0o644));
    }
    model.add(b"m/order/a/b", file(b"in a directory that sorts around its neighbours", 0o644));
    for mode in [0o644, 0o744, 0o654, 0o645, 0o655, 0o755, 0o444, 0o500, 0o4755, 0o4644, 0o400, 0o466] {
        model.add(format!("m/modes/{mode:o}").as_bytes(), file(b"x", mode));
    }
    for size in (0..=17).chain([63, 64, 65, 4095, 4096, 131_071, 131_072, 131_073, 3_000_001]) {
        model.add(format!("m/sizes/{size}").as_bytes(), file(&vec![b'z'; size], 0o644));
    }
    for (number, target) in
        ["x", "../..", "/etc/shadow", "no such \n thing", "12345678", "1234567", "\u{e9}"].iter().enumerate()
    {
        model.add(format!("m/links/{number}").as_bytes(), Item::Link { target: target.as_bytes().to_vec() });
    }
    model.add(b"m/links/long", Item::Link { target: vec![b't'; 4095] });
    model.add(b"m/empty/below/nothing", Item::Directory);
    model.add(format!("m/{}", ["deep"; 300].join("/")).as_bytes(), file(b"bottom", 0o644));
    for control in 1..0x80_u8 {
        if !matches!(control, b'/' | b'.') {
            model.add(&[&b"m/bytes/"[..], &[control]].concat(), file(&[control], 0o644));
        }
    }
    model.add(b"empty module", Item::Directory);
    model.add(b"loose file", file(b"x", 0o755));
    model.add(b"loose link", Item::Link { target: b"m".to_vec() });
    model
}

/// The same with names and targets that are no UTF-8, which is more than the crate can do.
pub fn nastier() -> Model {
    let mut model = nasty();
    for byte in 0x80..=0xff_u8 {
        model.add(&[&b"m/bytes/"[..], &[byte]].concat(), Item::File { contents: vec![byte], mode: 0o644 });
        model.add(&[&b"m/targets/"[..], &[byte, b'x']].concat(), Item::Link { target: vec![b'/', byte] });
    }
    model.add(&[b"m/", &[0xfe; 255][..]].concat(), Item::Link { target: (1..=255).collect() });
    model
}

/// All oracles on one tree: its root, its modules, and a file in it.
fn compare(model: &Model) {
    let world = World::in_memory(TREES);
    model.build(&world.path("root"));
    let root = world.path("root");
    let expected = nix_hash(&root);
    assert_eq!(hash_nar(&world, &root), expected);
    assert_eq!(dumped(&root), expected);
    assert_eq!(sri(&Sha256::digest(model.nar(b""))), expected, "the model's own writer");
    world.lock();
    let items = model.0.iter().filter(|(path, _)| !path.contains(&b'/'));
    for (path, item) in items {
        let there = root.join(OsStr::from_bytes(path));
        let expected = sri(&Sha256::digest(model.nar(path)));
        match item {
            Item::Directory => {
                let (entries, (key, value)) = (world.entries(), crate::model::text("path", path));
                let entry = entries.iter().find(|entry| entry[&key] == value).unwrap();
                assert_eq!(entry["nar"], expected, "{path:?}");
                assert_eq!(nix_hash(&there), expected, "{path:?}");
            }
            Item::File { .. } => {
                assert_eq!(nix_hash(&there), expected, "{path:?}");
                assert_eq!(hash_nar(&world, &there), expected, "{path:?}");
            }
            Item::Link { .. } => {}
        }
    }
}

#[needs("nix")]
fn nar_of_a_nasty_tree_is_that_of_nix() {
    compare(&nasty());
}

/// The crate calls a file executable if any user may execute it; Nix, git and driftlock use the owner's bit. So it is an
/// oracle only for trees in which both agree.
#[needs("nix")]
fn nar_of_a_nasty_tree_is_that_of_the_crate() {
    let world = World::in_memory(TREES);
    let mut model = nasty();
    model.0.retain(|_, item| !matches!(item, Item::File { mode, .. } if *mode & 0o111 != 0 && *mode & 0o100 == 0));
    model.build(&world.path("root"));
    let root = world.path("root");
    assert_eq!(hash_nar(&world, &root), encoded(&root));
    fs::set_permissions(world.root("loose file"), Permissions::from_mode(0o654)).unwrap();
    assert_eq!(hash_nar(&world, &root), nix_hash(&root));
    assert_ne!(encoded(&root), nix_hash(&root), "the crate has learnt it: make it an oracle for every tree");
}

#[needs("nix")]
fn nar_of_a_tree_with_names_of_any_bytes_is_that_of_nix() {
    compare(&nastier());
}

#[needs("nix")]
fn nar_of_random_trees_is_that_of_nix() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..12 {
        compare(&model().new_tree(&mut runner).unwrap().current());
    }
}

/// With `exclude`, what Nix gives for the same tree behind a filter, and for a copy without those files.
#[needs("nix")]
fn nar_with_excludes_is_that_of_the_filtered_tree() {
    let world = World::declaring(&declaration("trees", false, &["**/__pycache__", "**/*.pyc", "m/static/*"]));
    let mut model = Model::default();
    let file = |text: &str| Item::File { contents: text.as_bytes().to_vec(), mode: 0o644 };
    let (kept, dropped) = (
        ["m/__init__.py", "m/models/a.py", "m/models/a.pyc.txt", "m/static/", "m/__pycache__x", "m/b/c/d"],
        ["m/__pycache__/a", "m/models/__pycache__/x/y", "m/a.pyc", "m/models/.pyc", "m/static/logo", "m/static/d/e"],
    );
    for path in kept {
        let item = if path.ends_with('/') { Item::Directory } else { file(path) };
        model.add(path.trim_end_matches('/').as_bytes(), item);
    }
    let filtered = World::new();
    model.build(&filtered.path("root"));
    for path in dropped {
        model.add(path.as_bytes(), file(path));
    }
    model.build(&world.path("root"));
    world.lock();
    let ours = nar(&world, "m");
    assert_eq!(ours, nix_hash(&filtered.root("m")), "a copy without what is excluded");
    assert_ne!(ours, nix_hash(&world.root("m")));

    // Nix checks the digest itself, and refuses to go on if it is another.
    let evaluate = |digest: &str| {
        let filter = "path: type: let name = baseNameOf path; in !(name == \"__pycache__\" \
                      || builtins.match \".*[.]pyc\" name != null || baseNameOf (dirOf path) == \"static\")";
        let path = world.root("m");
        let expression = format!(
            "builtins.path {{ path = {path:?}; name = \"m\"; recursive = true; filter = {filter}; sha256 = {digest:?}; }}"
        );
        let mut nix = Command::new("nix-instantiate");
        nix.args(["--eval", "--store"]).arg(world.path("store")).args(["-E", &expression]);
        nix.env("HOME", world.path("home")).output().unwrap()
    };
    let output = evaluate(&ours);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = evaluate(&nix_hash(&world.root("m")));
    assert!(String::from_utf8_lossy(&output.stderr).contains("mismatch"), "{output:?}");
}

/// Nix takes such a file for an empty one. So the writer that the other tests hold against Nix is the oracle.
#[test]
fn nar_of_files_that_state_no_size() {
    let directory = Path::new("/proc/sys/net/ipv4/conf/lo");
    let mut model = Model::default();
    for entry in fs::read_dir(directory).unwrap() {
        let name = entry.unwrap().file_name();
        let contents = fs::read(directory.join(&name)).unwrap();
        assert!(!contents.is_empty(), "{name:?}");
        model.add(name.as_bytes(), Item::File { contents, mode: 0o644 });
    }
    let (name, world) = (b"forwarding", World::new());
    assert!(model.0.contains_key(&name[..]));
    assert_eq!(hash_nar(&world, directory), sri(&Sha256::digest(model.nar(b""))));
    let file = directory.join(OsStr::from_bytes(name));
    assert_eq!(hash_nar(&world, &file), sri(&Sha256::digest(model.nar(name))));
}

/// 2,500 directories deep, where paths are longer than Nix can open: the writer that the other tests hold against Nix
/// is the oracle.
#[test]
fn nar_of_a_tree_2500_directories_deep() {
    const DEPTH: usize = 2500;
    let world = World::new();
    let directory = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut here = openat(CWD, world.path("root"), directory, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        mkdirat(&here, "d", Mode::from_raw_mode(0o755)).unwrap();
        here = openat(&here, "d", directory, Mode::empty()).unwrap();
    }
    let bottom = openat(&here, "f", OFlags::WRONLY | OFlags::CREATE, Mode::from_raw_mode(0o755)).unwrap();
    rustix::io::write(&bottom, b"bottom").unwrap();
    world.lock();
    let lock = world.entries();
    assert_eq!(lock.len(), DEPTH + 1);
    assert_eq!(lock[DEPTH]["sha256"], hex(b"bottom"));

    // One level at a time: the archive of a directory is that of what is in it, between a head and a tail.
    let mut small = Model::default();
    small.add(b"d/f", Item::File { contents: b"bottom".to_vec(), mode: 0o755 });
    let one = small.nar(b"d");
    small = Model::default();
    small.add(b"d/d", Item::Directory);
    let two = small.nar(b"d");
    let empty = small.nar(b"d/d");
    let magic = 24;
    let node = &empty[magic..];
    let at = two.windows(node.len()).rposition(|window| window == node).unwrap();
    let (head, tail) = (&two[magic..at], &two[at + node.len()..]);
    // The directory at the bottom is one of the 2,500.
    let archive = [&two[..magic], &head.repeat(DEPTH - 1), &one[magic..], &tail.repeat(DEPTH - 1)].concat();
    assert_eq!(lock[0]["nar"], sri(&Sha256::digest(&archive)));
    world.check(0);
}

/// What has no archive in Nix has none here; and a link as an argument is the directory that it leads to.
#[needs("nix")]
fn nar_of_what_nix_refuses_is_refused() {
    let world = World::new();
    world.write("m/f", "1");
    symlink("m", world.root("link")).unwrap();
    assert_eq!(hash_nar(&world, &world.root("link/.")), nix_hash(&world.root("m")));
    let fifo = world.root("m/fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let refused = world.driftlock(["hash", "--format", "nar", "root/m"]).code(2);
    assert!(refused.stderr().contains("fifo"), "{}", refused.stderr());
    fs::remove_file(&fifo).unwrap();
    fs::set_permissions(world.root("m/f"), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(hash_nar(&world, &world.root("m")), nix_hash(&world.root("m")));
}
