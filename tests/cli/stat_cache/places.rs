//! Where a cache may lie, and which roots it can stand for.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::{CACHE, known, run, trusted, world};
use crate::harness::{TREES, World, drift, the_check};

/// The verdict stands, and is trouble: an operator who asked for a cache has to know that there is none.
fn not_used(world: &World, why: &str) {
    let run = run(world, 2);
    assert!(run.stderr().contains(why), "{why}: {}", run.stderr());
    let report = run.json();
    assert_eq!((&report["overall"], trusted(&report)), (&"PASS".into(), 0));
}

#[needs(root)]
fn a_directory_that_others_can_write_to_holds_no_cache() {
    let world = known(TREES);
    let state = world.path("state");
    let before = fs::read(world.path(CACHE)).unwrap();
    let mode = |mode| fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
    for others in [0o777, 0o775, 0o702, 0o1777] {
        mode(others);
        not_used(&world, "the directory it is in is writable by other users");
    }
    mode(0o700);
    std::os::unix::fs::chown(&state, Some(65534), None).unwrap();
    not_used(&world, "the directory it is in belongs to another user");
    assert_eq!(fs::read(world.path(CACHE)).unwrap(), before);
    fs::remove_dir_all(&state).unwrap();
    not_used(&world, "the directory it is in could not be opened");
    assert!(!state.exists());
}

#[test]
fn what_is_no_cache_is_left_alone() {
    const NOT_REGULAR: &str = "is not a regular file; it is neither used nor replaced";
    let world = known(TREES);
    let path = world.path(CACHE);
    let cache = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(world.path("state/target"), &cache).unwrap();
    symlink("target", &path).unwrap();
    not_used(&world, NOT_REGULAR);
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("target"));
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    not_used(&world, NOT_REGULAR);
    fs::remove_file(&path).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    not_used(&world, NOT_REGULAR);
    drop(socket);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    not_used(&world, NOT_REGULAR);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "my notes\n").unwrap();
    not_used(&world, "holds something else; it is neither used nor replaced");
    assert_eq!(fs::read(&path).unwrap(), b"my notes\n");
    for path in ["state/", "state/..", ".", "/"] {
        let run = world.driftlock(["check", "--json", "--stat-cache", path]).code(2);
        assert!(run.stderr().contains("is not used"), "{path}: {}", run.stderr());
    }
}

#[test]
fn a_cache_lies_neither_below_a_root_nor_above_one_nor_with_the_locks() {
    let world = known(TREES);
    for (path, why) in [
        ("root/cache", "which this run writes to"),
        ("root/m/cache", "would record driftlock's own files"),
        ("cache", "which this run writes to"),
        ("locks/cache", " and the stat cache's directory "),
    ] {
        let run = world.driftlock(["check", "--stat-cache", path]).code(2);
        assert!(run.stderr().contains(why) && run.stderr().contains("to do: name a FILE"), "{path}: {}", run.stderr());
        assert!(!world.path(path).exists() && run.stdout().is_empty());
    }
}

/// `$1` is driftlock. Says for each file system what is trusted after a look at an unchanged tree, and what is found
/// after three files were changed behind their times: by writing, by replacing, and through a mapping. Then whether the tree
/// is listed once more, and what is found after names in it came, went and were changed behind the times of directories.
const SYSTEMS: &str = r#"
set -eu
export LC_ALL=C
image() { truncate -s 512M "$1.img"; }
systems="ext4 ext4-128 xfs btrfs tmpfs overlay"
for fs in $systems; do
    mkdir -p "mnt/$fs" "upper/$fs"
    case $fs in
        ext4) image ext4; mkfs.ext4 -q ext4.img; mount -o loop ext4.img mnt/ext4 ;;
        ext4-128) image ext4-128; mkfs.ext4 -q -I 128 ext4-128.img; mount -o loop ext4-128.img mnt/ext4-128 ;;
        xfs) image xfs; mkfs.xfs -q xfs.img; mount -o loop xfs.img mnt/xfs ;;
        btrfs) image btrfs; mkfs.btrfs -q btrfs.img; mount -o loop btrfs.img mnt/btrfs ;;
        tmpfs) mount -t tmpfs tmpfs mnt/tmpfs ;;
        overlay)
            mkdir mnt/ext4/lower mnt/ext4/upper mnt/ext4/work
            mount -t overlay -o lowerdir=mnt/ext4/lower,upperdir=mnt/ext4/upper,workdir=mnt/ext4/work overlay mnt/overlay ;;
    esac
    mkdir -p "mnt/$fs/root/m"
    for name in written replaced mapped same; do printf before > "mnt/$fs/root/m/$name"; done
    sed "s:\"root\":\"mnt/$fs/root\":; s:\"locks\":\"locks/$fs\":" driftlock.toml > "$fs.toml"
    "$1" lock --quiet --config "$fs.toml"
done
check() { "$1" check --json --config "$fs.toml" --stat-cache "state/$fs" 2> "$fs.err"; }
sleep 2.2
for fs in $systems; do check "$1" > "$fs.json"; check "$1" > "$fs.json"; done
for fs in $systems; do
    cd "mnt/$fs/root/m"
    touch -r same ../../time
    printf behind > written
    printf behind > ../../other; mv ../../other replaced
    python3 -c 'import mmap; file = open("mapped", "r+b"); mmap.mmap(file.fileno(), 6)[:] = b"behind"'
    touch -r ../../time written replaced mapped
    cd ../../../..
    code=0; check "$1" > "$fs-behind.json" || code=$?
    [ $code = 1 ] || { echo "$fs: exit code $code" >&2; cat "$fs.err" >&2; exit 9; }
done
for fs in $systems; do
    for directory in create remove rename over exchange across link mkdir rmdir; do
        mkdir "mnt/$fs/root/$directory"
        printf x > "mnt/$fs/root/$directory/x"; printf yy > "mnt/$fs/root/$directory/y"
    done
    mkdir "mnt/$fs/root/rmdir/gone"
    "$1" lock --quiet --config "$fs.toml"
done
sleep 2.2
for fs in $systems; do
    check "$1" > /dev/null
    strace -f -y -e trace=getdents64 -o "$fs.trace" "$1" check --json --config "$fs.toml" --stat-cache "state/$fs" > /dev/null 2>&1
    cd "mnt/$fs/root"
    for directory in *; do touch -r $directory "../time-of-$directory"; done
    touch create/new
    rm remove/x
    mv rename/x rename/z
    mv over/x over/y
    python3 -c 'import ctypes
for a, b in [(b"exchange/x", b"exchange/y"), (b"across/x", b"m/same")]:
    assert ctypes.CDLL(None).renameat2(-100, a, -100, b, 2) == 0, (a, b)'
    ln link/x link/z
    mkdir mkdir/new
    rmdir rmdir/gone
    for directory in *; do touch -r "../time-of-$directory" $directory; done
    cd ../../..
    code=0; check "$1" > "$fs-names.json" || code=$?
    full=0; "$1" check --json --config "$fs.toml" > "$fs-names-full.json" || full=$?
    [ $code$full = 11 ] || { echo "$fs: exit codes $code and $full" >&2; cat "$fs.err" >&2; exit 9; }
done
"#;

#[needs(images)]
fn files_are_known_again_on_ext4_xfs_and_btrfs_alone() {
    let world = world(TREES);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", SYSTEMS, "sh", env!("CARGO_BIN_EXE_driftlock")]);
    world.command(command).code(0);
    let said = |name: String| fs::read_to_string(world.path(name)).unwrap();
    let report = |name: String| serde_json::from_str::<Value>(&said(name)).unwrap();
    let numbers = [("tmpfs", "0x1021994"), ("overlay", "0x794c7630")];
    for system in ["ext4", "ext4-128", "xfs", "btrfs", "tmpfs", "overlay"] {
        let other = numbers.iter().find(|(name, _)| *name == system);
        let expected = if other.is_some() { (0, 0) } else { (4, 1) };
        let (unchanged, behind) = (report(format!("{system}.json")), report(format!("{system}-behind.json")));
        assert_eq!((trusted(&unchanged), trusted(&behind)), expected, "{system}");
        let modified = ["mapped", "replaced", "written"].map(|name| ("modified".to_owned(), format!("m/{name}")));
        assert_eq!(drift(&behind), modified, "{system}");
        let lists = said(format!("{system}.trace")).contains(&format!("mnt/{system}/root"));
        assert_eq!(lists, other.is_some(), "{system}");
        let names = report(format!("{system}-names.json"));
        assert_eq!(
            the_check(&names)["drift"],
            the_check(&report(format!("{system}-names-full.json")))["drift"],
            "{system}"
        );
        for directory in ["create", "remove", "rename", "over", "exchange", "across", "link", "mkdir", "rmdir"] {
            let below = |(_, path): &(String, String)| path.starts_with(&format!("{directory}/"));
            assert!(drift(&names).iter().any(below), "{system}: {directory}");
        }
        let note = other.map(|(name, number)| {
            format!(
                "driftlock: note: the stat cache is not used for the check tree: mnt/{name}/root can't be trusted, since \
                 its file system (type {number}) is not one of ext4, xfs, btrfs\n"
            )
        });
        assert_eq!(said(format!("{system}.err")), note.unwrap_or_default());
    }
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let world = known(TREES);
    let mut name = world.path("state").into_os_string();
    name.push(std::ffi::OsStr::from_bytes(b"/\xff"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftlock"));
    command.args(["check", "--json", "--stat-cache"]).arg(name);
    let run = world.command(command).code(2);
    assert!(run.stderr().contains("not UTF-8"), "{}", run.stderr());
    assert_eq!(run.json()["overall"], "PASS");
}
