//! `docs/lock-format.md` holds for what the binary writes, and a verifier that was written from that page alone
//! (`tests/independent/verify.py`) agrees with the binary about which locks are locks and which trees are theirs.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests open what they like by name")]

mod machine;

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_encoding::BASE64;
use needs::needs;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, mknodat, setxattr};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lock-format.md");
const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/verify.py");

const TREES: &str = "[check.t]\nkind = \"trees\"\nroot = \"root\"\nexclude = [\"**/__pycache__\", \"*/x/**/skip?\"]\n";
const EXCLUDED: &[&str] = &["--exclude", "**/__pycache__", "--exclude", "*/x/**/skip?"];

/// A root and a declaration, in a directory of their own.
struct World(TempDir);

impl World {
    fn new(declaration: &str) -> Self {
        let world = Self(tempfile::Builder::new().prefix("driftlock-test-").tempdir().unwrap());
        fs::create_dir(world.path("root")).unwrap();
        world.declare(declaration);
        world
    }

    fn declare(&self, declaration: &str) {
        let top = "locks = \"locks\"\nreports = \"reports\"\n";
        fs::write(self.path("driftlock.toml"), format!("{top}{declaration}")).unwrap();
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn root(&self, relative: impl AsRef<[u8]>) -> PathBuf {
        self.path("root").join(OsStr::from_bytes(relative.as_ref()))
    }

    /// Writes a file, and the directories above it.
    fn write(&self, relative: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    fn driftlock(&self, command: &str) -> Output {
        let binary = env!("CARGO_BIN_EXE_driftlock");
        Command::new(binary).arg(command).current_dir(self.0.path()).output().unwrap()
    }

    fn lock(&self, name: &str) -> PathBuf {
        expect(&self.driftlock("lock"), 0);
        self.path("locks").join(name)
    }
}

fn expect(output: &Output, code: i32) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

/// Runs the independent verifier; gives what it printed.
fn verify(code: i32, arguments: &[&OsStr]) -> String {
    let mut python = Command::new("python3");
    let output = python.arg("-B").arg(VERIFIER).args(arguments).output().expect("this test needs python3");
    expect(&output, code);
    String::from_utf8(output.stdout).unwrap()
}

fn verify_tree(code: i32, lock: &Path, root: &Path, globs: &[&str]) -> String {
    let globs = globs.iter().map(OsStr::new);
    let tree = [lock.as_os_str(), OsStr::new("--root"), root.as_os_str()];
    verify(code, &tree.into_iter().chain(globs).collect::<Vec<_>>())
}

/// The name that a file with this character in it gets.
fn named(character: char) -> String {
    format!("characters/a{character}z")
}

/// The characters at which something begins or ends to be escaped, and some that other formats escape.
fn characters() -> impl Iterator<Item = char> {
    let controls = (1..=0x1f).chain(0x7e..=0xa0);
    let edges = [
        0x22, 0x2c, 0x5c, 0xac, 0xad, 0xae, 0x61b, 0x61c, 0x61d, 0x180d, 0x180e, 0x180f, 0x200a, 0x200b, 0x200f,
        0x2010, 0x2027, 0x2028, 0x202e, 0x202f, 0x205f, 0x2060, 0x206f, 0x2070, 0xd7ff, 0xe000, 0xfefe, 0xfeff, 0xff00,
        0xfff8, 0xfff9, 0xfffb, 0xfffc, 0xffff, 0x1_0000, 0x1_f600, 0xe_0001, 0x10_ffff,
    ];
    controls.chain(edges).map(|code| char::from_u32(code).unwrap())
}

/// A tree with everything in it that a reader of the page could get wrong.
fn nasty() -> World {
    let world = World::new(TREES);
    for character in characters() {
        world.write(named(character), "");
    }
    for name in
        [&b"caf\xe9"[..], b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"end\xc3", b" ", b"-"]
    {
        world.write([b"bytes/", name].concat(), name);
    }
    // The order of paths is not that of a walk.
    for name in ["order/dir/x", "order/dir#", "order/dir.d/x", "order/dir!/x", "order/dir0", "order#", "order!/x"] {
        world.write(name, name);
    }
    world.write("a/b/c/d/e/f/g/h", "deep");
    fs::create_dir_all(world.root("a/empty/empty")).unwrap();
    // Around the padding of the archive, and more than one block of anything.
    for size in (0..=17).chain([63, 64, 65, 4095, 70_000, 300_001]) {
        let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
        world.write(format!("sizes/{size}"), bytes);
    }
    for mode in [0o400, 0o644, 0o744, 0o700, 0o4755, 0o611, 0o655, 0o455] {
        let path = world.write(format!("modes/{mode:04o}"), "x");
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(world.root("links")).unwrap();
    let long = "t".repeat(4000);
    for (name, target) in [
        ("to_directory", &b"../a/b"[..]),
        ("dangling", b"nowhere at all"),
        ("absolute", b"/etc/passwd"),
        ("loop", b"loop"),
        ("bytes", b"\xff\n\xfe"),
        ("escapes", "\"\\\u{202e}\n\u{7f}é".as_bytes()),
        ("long", long.as_bytes()),
    ] {
        symlink(OsStr::from_bytes(target), world.root(format!("links/{name}"))).unwrap();
    }
    symlink("a", world.root("link beside the modules")).unwrap();
    world.write("loose file", "not in a module");
    // No archive for these.
    fs::create_dir_all(world.root("special/below")).unwrap();
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, world.root("special/below/fifo"), FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(world.root("listening")).unwrap();
    drop(UnixListener::bind(world.root("listening/socket")).unwrap());
    // An archive for this one, since what could not be in it is excluded.
    world.write("a/x/__pycache__/y.pyc", "excluded with its directory");
    world.write("a/x/kept", "");
    world.write("a/x/deep/er/skip1", "excluded");
    world.write("a/x/deep/er/skip12", "kept");
    mknodat(CWD, world.root("a/x/skip!"), FileType::Fifo, mode, 0).unwrap();
    world
}

#[needs("python3")]
fn the_verifier_accepts_a_lock_of_everything_nasty() {
    let world = nasty();
    let lock = world.lock("t.lock.json");
    let printed = verify_tree(0, &lock, &world.path("root"), EXCLUDED);
    let lines =
        fs::read(&lock).unwrap().split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"{\"path")).count();
    assert_eq!(printed, format!("{lines} entries, canonical\n"));
    assert!(lines > characters().count(), "{printed}");
    expect(&world.driftlock("check"), 0);
}

#[needs("python3")]
fn the_verifier_accepts_attributes() {
    let world = nasty();
    let note =
        |path: &str, name: &str, value: &[u8]| setxattr(world.root(path), name, value, XattrFlags::empty()).unwrap();
    note("loose file", "user.b", b"\0\xff");
    note("loose file", "user.a\u{202e}\"", b"");
    note("a", "user.on a directory", b"x");
    setxattr(world.root("loose file"), OsStr::from_bytes(b"user.\xff"), b"y", XattrFlags::empty()).unwrap();
    for attributes in ["\"mode\"", "\"xattrs\"", "\"xattrs\", \"owner\", \"mode\""] {
        world.declare(&format!("{TREES}attributes = [{attributes}]\n"));
        fs::remove_dir_all(world.path("locks")).unwrap_or_default();
        let lock = world.lock("t.lock.json");
        verify_tree(0, &lock, &world.path("root"), EXCLUDED);
        expect(&world.driftlock("check"), 0);
    }
    fs::set_permissions(world.root("sizes"), Permissions::from_mode(0o711)).unwrap();
    note("loose file", "user.b", b"\0\xfe");
    let lock = world.path("locks/t.lock.json");
    let printed = verify_tree(1, &lock, &world.path("root"), EXCLUDED);
    assert!(printed.ends_with("differs in xattrs: b'loose file'\ndiffers in mode: b'sizes'\n"), "{printed}");
    expect(&world.driftlock("check"), 1);
}

#[needs("python3")]
fn the_verifier_accepts_files_in_both_formats() {
    let globs = ["**/*", "{bytes,links}/?*"];
    let declare = |format: &str| {
        let exclude = if format == "txt" {
            "exclude = [\"links\", \"link*\", \"special\", \"listening\", \"a/x\"]\n"
        } else {
            ""
        };
        format!(
            "[check.t]\nkind = \"files\"\nroot = \"root\"\nlock = \"t.lock.{format}\"\ninclude = [\"{}\", \"{}\"]\n{exclude}",
            globs[0], globs[1]
        )
    };
    let world = nasty();
    let included = ["--include", globs[0], "--include", globs[1]];
    world.declare(&declare("json"));
    verify_tree(0, &world.lock("t.lock.json"), &world.path("root"), &included);
    world.declare(&declare("txt"));
    let lock = world.lock("t.lock.txt");
    let mut arguments = included.to_vec();
    for glob in ["links", "link*", "special", "listening", "a/x"] {
        arguments.extend(["--exclude", glob]);
    }
    verify_tree(0, &lock, &world.path("root"), &arguments);
    expect(&world.driftlock("check"), 0);
    world.write("sizes/9", "other");
    let printed = verify_tree(1, &lock, &world.path("root"), &arguments);
    assert!(printed.ends_with("differs in sha256: b'sizes/9'\n"), "{printed}");
    expect(&world.driftlock("check"), 1);
}

#[needs("python3")]
fn both_find_what_is_done_to_a_tree() {
    type Act = fn(&World);
    let acts: [(&str, Act); 9] = [
        ("differs in sha256: b'sizes/9'", |world| drop(world.write("sizes/9", "123456789"))),
        ("differs in size, sha256: b'sizes/0'", |world| drop(world.write("sizes/0", "1"))),
        ("added: b'a/\\xff'", |world| drop(world.write(b"a/\xff", ""))),
        ("added: b'new'", |world| fs::create_dir(world.root("new")).unwrap()),
        ("removed: b'order/dir#'", |world| fs::remove_file(world.root("order/dir#")).unwrap()),
        ("removed: b'a/empty/empty'", |world| fs::remove_dir(world.root("a/empty/empty")).unwrap()),
        ("differs in executable: b'modes/0644'", |world| {
            fs::set_permissions(world.root("modes/0644"), Permissions::from_mode(0o744)).unwrap();
        }),
        ("differs in target: b'links/dangling'", |world| {
            fs::remove_file(world.root("links/dangling")).unwrap();
            symlink("nowhere at al", world.root("links/dangling")).unwrap();
        }),
        ("differs in type", |world| {
            fs::remove_file(world.root("special/below/fifo")).unwrap();
            fs::write(world.root("special/below/fifo"), "").unwrap();
        }),
    ];
    for (expected, act) in acts {
        let world = nasty();
        let lock = world.lock("t.lock.json");
        act(&world);
        let printed = verify_tree(1, &lock, &world.path("root"), EXCLUDED);
        // The module's `nar` differs too, in a line of its own.
        assert!(printed.lines().any(|line| line.starts_with(expected)), "{expected}\n{printed}");
        assert!(printed.lines().count() <= 3, "{expected}\n{printed}");
        expect(&world.driftlock("check"), 1);
    }
    // What neither may see.
    let world = nasty();
    let lock = world.lock("t.lock.json");
    fs::set_permissions(world.root("modes/0644"), Permissions::from_mode(0o677)).unwrap();
    world.write("a/x/__pycache__/z.pyc", "excluded");
    fs::remove_file(world.root("a/x/deep/er/skip1")).unwrap();
    verify_tree(0, &lock, &world.path("root"), EXCLUDED);
    expect(&world.driftlock("check"), 0);
}

/// A lock of this header and these entry lines, whose digest fits.
fn lock_of(head: &str, entries: &[&str]) -> Vec<u8> {
    let mut lines = entries.join(",\n");
    if !entries.is_empty() {
        lines.push('\n');
    }
    let digest = BASE64.encode(&Sha256::digest(&lines));
    format!("{head}\"digest\": \"sha256-{digest}\",\n\"entries\": [\n{lines}]\n}}\n").into_bytes()
}

const HEAD: &str = "{\n\"driftlock\": 1,\n\"check\": \"t\",\n\"kind\": \"trees\",\n";
const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn file(path: &str) -> String {
    format!(r#"{{"path":{path},"type":"file","size":0,"sha256":"{HEX}"}}"#)
}

/// Locks of which both are to say the same; a tree is not looked at.
struct Cases<'a> {
    world: &'a World,
    name: &'static str,
    cases: Vec<(Vec<u8>, bool)>,
}

impl<'a> Cases<'a> {
    fn new(world: &'a World, name: &'static str) -> Self {
        Self { world, name, cases: Vec::new() }
    }

    fn accepted(&mut self, bytes: impl Into<Vec<u8>>) {
        self.cases.push((bytes.into(), true));
    }

    fn refused(&mut self, bytes: impl Into<Vec<u8>>) {
        self.cases.push((bytes.into(), false));
    }

    fn agree(self) {
        let locks = self.world.path("locks");
        fs::create_dir_all(&locks).unwrap();
        let mut python = Command::new("python3");
        python.arg("-B").arg(VERIFIER);
        for (number, (bytes, _)) in self.cases.iter().enumerate() {
            let lock = locks.join(format!("{number}.{}", self.name));
            fs::write(&lock, bytes).unwrap();
            python.arg(lock);
        }
        let output = python.output().expect("this test needs python3");
        let verdicts = String::from_utf8(output.stdout).unwrap();
        assert_eq!(verdicts.lines().count(), self.cases.len(), "{}", String::from_utf8_lossy(&output.stderr));
        for ((bytes, accepted), verdict) in self.cases.iter().zip(verdicts.lines()) {
            let shown = String::from_utf8_lossy(bytes);
            assert_eq!(verdict.ends_with("entries, canonical"), *accepted, "the verifier says: {verdict}\n{shown}");
            fs::write(locks.join(self.name), bytes).unwrap();
            let checked = self.world.driftlock("check");
            // The root is empty, so what is no trouble is drift, or a lock of nothing.
            assert_eq!(checked.status.code().unwrap() & 2 == 0, *accepted, "driftlock says: {checked:?}\n{shown}");
        }
    }
}

#[needs("python3")]
fn both_refuse_the_same_locks() {
    let world = World::new("[check.t]\nkind = \"trees\"\nroot = \"root\"\nallow_empty = true\n");
    let cases = RefCell::new(Cases::new(&world, "t.lock.json"));
    let ok = |entries: &[&str]| cases.borrow_mut().accepted(lock_of(HEAD, entries));
    let bad = |entries: &[&str]| cases.borrow_mut().refused(lock_of(HEAD, entries));
    let (a, b) = (&*file("\"a\""), &*file("\"b\""));
    ok(&[]);
    ok(&[a, b]);
    ok(&[&file("\"dir\""), &file("\"dir#\""), &file("\"dir/x\"")]);
    bad(&[&file("\"dir\""), &file("\"dir/x\""), &file("\"dir#\"")]);
    bad(&[b, a]);
    bad(&[a, a]);
    for path in ["\"\"", "\"/a\"", "\"a/\"", "\"a//b\"", "\".\"", "\"a/..\"", "\"a/./b\"", r#""a\u0000""#] {
        bad(&[&file(path)]);
    }
    // One way to write each character.
    for path in [r#""a\u202eb""#, r#""\n\r\t\b\f\"\\\u001b\u007f\ufeff""#, "\"é/😀\"", "\"\u{2070}\""] {
        ok(&[&file(path)]);
    }
    for path in [
        "\"a\u{202e}b\"",
        "\"\u{7f}\"",
        r#""\u202E""#,
        r#""\u000a""#,
        r#""\u0061""#,
        r#""\/""#,
        r#""\ud83d\ude00""#,
        r#""\ud83d""#,
        r#""\x61""#,
        "\"\t\"",
        r#""\u0022""#,
    ] {
        bad(&[&file(path)]);
    }
    // Base64 where there is no text, and only there.
    let base64 = |text: &str| format!(r#"{{"path_base64":"{text}","type":"fifo"}}"#);
    ok(&[&base64("/w==")]);
    for text in ["/x==", "/w=", "/w", "_w==", "YQ==", "", "/w==\\n"] {
        bad(&[&base64(text)]);
    }
    for entry in [
        r#"{"path":"a","type":"directory"}"#,
        r#"{"path":"a","type":"directory","nar":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}"#,
        r#"{"path":"a","type":"symlink","target":"b"}"#,
        r#"{"path":"a","type":"symlink","target_base64":"/w=="}"#,
        r#"{"path":"a","type":"char_device","major":1,"minor":4294967295}"#,
        r#"{"path":"a","type":"socket"}"#,
    ] {
        ok(&[entry]);
    }
    for entry in [
        r#"{"path":"a","type":"directory","nar":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV="}"#,
        r#"{"path":"a","type":"directory","nar":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}"#,
        r#"{"path":"a","type":"directory","nar":null}"#,
        r#"{"path":"a","type":"directory","size":0}"#,
        r#"{"path":"a","type":"symlink"}"#,
        r#"{"path":"a","type":"symlink","target_base64":"Yg=="}"#,
        r#"{"path":"a","type":"symlink","target":"b","target_base64":"/w=="}"#,
        r#"{"path":"a","type":"char_device","major":1}"#,
        r#"{"path":"a","type":"char_device","major":1,"minor":4294967296}"#,
        r#"{"path":"a","type":"door"}"#,
        r#"{"type":"fifo","path":"a"}"#,
        r#"{"path":"a", "type":"fifo"}"#,
        r#"{"path":"a","type":"fifo"} "#,
        r#"{"path":"a","type":"fifo","type":"fifo"}"#,
        r#"{"path":"a","type":"fifo","note":""}"#,
        r#"{"path":"a","type":"fifo","mode":"0644"}"#,
        r#"{"path":"a","type":"fifo"}{}"#,
        "",
    ] {
        bad(&[entry]);
    }
    for (key, value) in [
        ("\"size\":0", "\"size\":00"),
        ("\"size\":0", "\"size\":-0"),
        ("\"size\":0", "\"size\":0.0"),
        ("\"size\":0", "\"size\":1e1"),
        ("\"size\":0", "\"size\":\"0\""),
        ("\"size\":0", "\"size\":18446744073709551616"),
        ("\"size\":0", "\"executable\":false,\"size\":0"),
        ("\"size\":0", "\"size\":0,\"executable\":true"),
        ("\"size\":0,", ""),
        ("e3b0", "E3B0"),
        ("e3b0", "e3b"),
        ("e3b0", "0e3b0"),
    ] {
        bad(&[&a.replace(key, value)]);
    }
    ok(&[&a.replace("\"size\":0", "\"executable\":true,\"size\":18446744073709551615")]);
    cases.into_inner().agree();
}

#[needs("python3")]
fn both_refuse_the_same_headers_and_ends() {
    let world = World::new("[check.t]\nkind = \"trees\"\nroot = \"root\"\nallow_empty = true\n");
    let entry = file("\"a\"");
    let lock = lock_of(HEAD, &[&entry]);
    let text = String::from_utf8(lock.clone()).unwrap();
    let mut cases = Cases::new(&world, "t.lock.json");
    cases.accepted(&*lock);
    let mut bad = |bytes: &[u8]| cases.refused(bytes);
    for end in [0, 1, 20, lock.len() / 2, lock.len() - 4, lock.len() - 3, lock.len() - 1] {
        bad(&lock[..end]);
    }
    for more in ["\n", " ", "{}", "\0"] {
        bad(format!("{text}{more}").as_bytes());
    }
    bad(format!("\u{feff}{text}").as_bytes());
    bad(text.replace('\n', "\r\n").as_bytes());
    bad(text.replace("\"driftlock\": 1", "\"driftlock\": 2").as_bytes());
    bad(text.replace("\"driftlock\": 1", "\"driftlock\":1").as_bytes());
    bad(text.replace("\"driftlock\": 1", "\"driftlock\": 1.0").as_bytes());
    bad(text.replace("\"trees\"", "\"tree\"").as_bytes());
    bad(text.replace("\"check\": \"t\",\n\"kind\": \"trees\",", "\"kind\": \"trees\",\n\"check\": \"t\",").as_bytes());
    bad(text.replace("\"check\": \"t\"", "\"check\": \"\\u0074\"").as_bytes());
    bad(text.replace("}\n]", "},\n]").as_bytes());
    bad(text.replace("\"size\":0", "\"size\":1").as_bytes());
    let at = text.find("sha256-").unwrap() + 10;
    let other = if lock[at] == b'A' { "B" } else { "A" };
    bad(format!("{}{other}{}", &text[..at], &text[at + 1..]).as_bytes());
    for attributes in ["[]", "[\"mode\",\"owner\"]", "[\"owner\", \"mode\"]", "[\"mode\", \"mode\"]", "[\"times\"]"] {
        let head = format!("{HEAD}\"attributes\": {attributes},\n");
        bad(&lock_of(&head, &[r#"{"path":"a","type":"fifo","mode":"0644","uid":0,"gid":0}"#]));
    }
    cases.agree();
}

#[needs("python3")]
fn both_refuse_the_same_attributes() {
    let declaration = "[check.t]\nkind = \"trees\"\nroot = \"root\"\nattributes = [\"mode\", \"xattrs\"]\n";
    let world = World::new(declaration);
    let lock = |attributes: &str| {
        let head = format!("{HEAD}\"attributes\": [\"mode\", \"xattrs\"],\n");
        lock_of(&head, &[&format!("{{\"path\":\"a\",\"type\":\"fifo\"{attributes}}}")])
    };
    let mut cases = Cases::new(&world, "t.lock.json");
    cases.accepted(lock(r#","mode":"0644","xattrs":{}"#));
    cases.accepted(lock(r#","mode":"7777","xattrs":{"user.a":"/w==","user.b":""}"#));
    cases.accepted(lock(r#","mode":"0644","xattrs":{"base64:/w==":""}"#));
    for attributes in [
        r#","mode":"644","xattrs":{}"#,
        r#","mode":"00644","xattrs":{}"#,
        r#","mode":"0648","xattrs":{}"#,
        r#","mode":420,"xattrs":{}"#,
        r#","mode":"0644""#,
        r#","xattrs":{},"mode":"0644""#,
        r#","mode":"0644","uid":0,"gid":0,"xattrs":{}"#,
        r#","mode":"0644","xattrs":{"user.b":"","user.a":""}"#,
        r#","mode":"0644","xattrs":{"user.a":"","user.a":""}"#,
        r#","mode":"0644","xattrs":{"user.a":"/x=="}"#,
        r#","mode":"0644","xattrs":{"base64:YQ==":""}"#,
    ] {
        cases.refused(lock(attributes));
    }
    cases.agree();
}

#[needs("python3")]
fn both_refuse_the_same_text_locks() {
    let world = World::new("[check.t]\nkind = \"files\"\nroot = \"root\"\nlock = \"t.lock.txt\"\ninclude = [\"*\"]\n");
    let mut cases = Cases::new(&world, "t.lock.txt");
    for line in [
        format!("{HEX}  a\n"),
        format!("{HEX} *a\n"),
        format!("{HEX}  ./a\n"),
        format!("{HEX}   a\n"),
        format!("{HEX}  b\n{HEX}  a\n"),
        format!("SHA256 (a) = {HEX}\n"),
        format!("SHA256 (a) = b) = {HEX}\n"),
        format!("\\{HEX}  a\\nb\\\\c\\rd\n"),
        format!("\\SHA256 (a\\nb) = {HEX}\n"),
        format!("{HEX}  a\\nb\n"),
        format!("{HEX}  a\r\n"),
    ] {
        cases.accepted(line);
    }
    for line in [
        String::new(),
        "\n".to_owned(),
        format!("{HEX}  a"),
        format!("{HEX}  a\n\n"),
        format!("# comment\n{HEX}  a\n"),
        format!("{HEX} a\n"),
        format!("{HEX}\ta\n"),
        format!("{HEX}  \n"),
        format!("{HEX}  ./\n"),
        format!("{HEX}  /a\n"),
        format!("{HEX}  ../a\n"),
        format!("{HEX}  a//b\n"),
        format!("{HEX}  a\n{HEX}  ./a\n"),
        format!("{}  a\n", HEX.to_uppercase()),
        format!("{}  a\n", &HEX[1..]),
        format!("\\{HEX}  a\\tb\n"),
        format!("\\{HEX}  a\\\n"),
        format!("{HEX}  a\0{HEX}  b\0"),
        format!("SHA256 (a) = {HEX} \n"),
        format!("SHA512 (a) = {HEX}\n"),
    ] {
        cases.refused(line);
    }
    cases.accepted([format!("{HEX}  ").as_bytes(), b"\xff\n"].concat());
    cases.agree();
}

#[test]
fn the_example_on_the_page_is_a_lock_that_is_written() {
    let page = fs::read_to_string(PAGE).unwrap();
    let (_, behind) = page.split_once("```json\n").unwrap();
    let (example, _) = behind.split_once("```").unwrap();
    let world = World::new("[check.addon_hashes]\nkind = \"trees\"\nroot = \"root\"\n");
    world.write("qr_ordering/__init__.py", "pass\n");
    let run = world.write("qr_ordering/bin/run", "#!/bin/sh\n");
    fs::set_permissions(run, Permissions::from_mode(0o755)).unwrap();
    symlink("../logo.svg", world.root("qr_ordering/logo")).unwrap();
    let lock = world.lock("addon_hashes.lock.json");
    assert_eq!(fs::read_to_string(lock).unwrap(), example);
}

#[test]
fn the_page_lists_the_characters_that_are_escaped() {
    let page = fs::read_to_string(PAGE).unwrap();
    let table = page.split("| character | as |").nth(1).unwrap().split("\n\n").next().unwrap();
    let codes = |text: &str| {
        let numbers =
            text.split("U+").skip(1).map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
        numbers.map(|hex| u32::from_str_radix(&hex, 16).unwrap()).collect::<Vec<_>>()
    };
    let listed: Vec<(u32, u32)> = table
        .split(['|', ',', '\n'])
        .flat_map(|cell| cell.split(" and "))
        .filter_map(|words| match codes(words)[..] {
            [] => None,
            [one] => Some((one, one)),
            [first, last] => Some((first, last)),
            _ => panic!("{words}"),
        })
        .collect();
    for character in '\0'..=char::MAX {
        let code = u32::from(character);
        let on_page = listed.iter().any(|&(first, last)| (first..=last).contains(&code));
        assert_eq!(driftlock::internals::path::is_hazardous(character), on_page, "U+{code:04X}");
    }
}
