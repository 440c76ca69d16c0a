//! Every way to tamper with a sealed baseline that we could think of, each with its exit code and what is said.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use data_encoding::BASE64;
use needs::needs;

use super::scene::{OPS, SEAL, SIGNATURE, allow, keygen, public, scene, seal, sign_by_hand, verdict};
use crate::harness::{TREES, World};

/// What an attacker, or an accident, does to a sealed world.
type Act = fn(&World);

/// The name of the row, the act, the exit code, and a part of the one thing that is said of the seal; none if it holds.
type Row = (&'static str, Act, i32, Option<&'static str>);

const UNSIGNED: &str = "driftlock.seal.sig is refused: it is not a signature of these bytes";
const NOT_WRITTEN: &str = "driftlock.seal.sig is refused: it is not a signature as `ssh-keygen -Y sign` writes it";
const NOT_SEALED: &str = "the lock locks/tree.lock.json is not the one that was sealed";

/// Changes the text of a file.
fn edit(world: &World, file: &str, change: impl FnOnce(String) -> String) {
    let text = fs::read_to_string(world.path(file)).unwrap();
    let changed = change(text.clone());
    assert_ne!(changed, text, "{file}");
    fs::write(world.path(file), changed).unwrap();
}

/// Seals by hand: the document is another one, and its signature is good.
fn sign_other(world: &World, change: impl FnOnce(String) -> String) {
    edit(world, SEAL, change);
    sign_by_hand(world, "key", "driftlock");
}

/// Changes the bytes of the signature below its armor.
fn edit_signature(world: &World, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    edit(world, SIGNATURE, |text| {
        let base64: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        let changed = BASE64.encode(&change(BASE64.decode(base64.as_bytes()).unwrap()));
        let lines: Vec<_> = changed.as_bytes().chunks(70).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
    });
}

/// The bytes of a public key as SSH encodes it.
fn blob(world: &World, key: &str) -> Vec<u8> {
    BASE64.decode(public(world, key).split(' ').nth(1).unwrap().as_bytes()).unwrap()
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// Puts a key with these options in the place of the allowed signers.
fn allow_with(world: &World, options: &str) {
    allow(world, "allowed", &[(&format!("{OPS} {options}"), "key")]);
}

const ROWS: &[Row] = &[
    ("nothing", |_| {}, 0, None),
    ("drift alone", |world| drop(world.write("m/a", "2")), 1, None),
    // The files of the seal.
    (
        "no seal and no signature",
        |world| [SEAL, SIGNATURE].iter().for_each(|file| fs::remove_file(world.path(file)).unwrap()),
        2,
        Some("there is no seal: locks/driftlock.seal is missing"),
    ),
    (
        "no seal",
        |world| fs::remove_file(world.path(SEAL)).unwrap(),
        2,
        Some("there is no seal: locks/driftlock.seal is missing"),
    ),
    (
        "no signature",
        |world| fs::remove_file(world.path(SIGNATURE)).unwrap(),
        2,
        Some("the seal has no signature: locks/driftlock.seal.sig is missing"),
    ),
    (
        "another serial",
        |world| edit(world, SEAL, |text| text.replace("\"serial\": 1", "\"serial\": 2")),
        2,
        Some(UNSIGNED),
    ),
    ("a line feed more", |world| edit(world, SEAL, |text| text + "\n"), 2, Some(UNSIGNED)),
    ("line ends of Windows", |world| edit(world, SEAL, |text| text.replace('\n', "\r\n")), 2, Some(UNSIGNED)),
    ("an empty seal", |world| fs::write(world.path(SEAL), "").unwrap(), 2, Some(UNSIGNED)),
    ("an empty signature", |world| fs::write(world.path(SIGNATURE), "").unwrap(), 2, Some(NOT_WRITTEN)),
    (
        "half a signature",
        |world| edit(world, SIGNATURE, |text| text[..text.len() / 2].to_owned()),
        2,
        Some(NOT_WRITTEN),
    ),
    ("more behind the signature", |world| edit(world, SIGNATURE, |text| text + "\n"), 2, Some(NOT_WRITTEN)),
    ("two signatures", |world| edit(world, SIGNATURE, |text| text.repeat(2)), 2, Some(NOT_WRITTEN)),
    ("longer lines", |world| edit(world, SIGNATURE, |text| text.replacen("\n", "\n\n", 1)), 2, Some(NOT_WRITTEN)),
    (
        "one bit of the signature",
        |world| {
            edit_signature(world, |mut bytes| {
                *bytes.last_mut().unwrap() ^= 1;
                bytes
            });
        },
        2,
        Some(UNSIGNED),
    ),
    ("bytes behind it", |world| edit_signature(world, |bytes| [&bytes[..], b"\0"].concat()), 2, Some(NOT_WRITTEN)),
    (
        "version 2 of signatures",
        |world| edit_signature(world, |bytes| replaced(&bytes, b"SSHSIG\0\0\0\x01", b"SSHSIG\0\0\0\x02")),
        2,
        Some("driftlock.seal.sig is refused: its format version is 2"),
    ),
    (
        "another hash",
        |world| edit_signature(world, |bytes| replaced(&bytes, b"sha512", b"sha384")),
        2,
        Some("driftlock.seal.sig is refused: it uses the hash \"sha384\""),
    ),
    (
        "a known hash that it was not made with",
        |world| edit_signature(world, |bytes| replaced(&bytes, b"sha512", b"sha256")),
        2,
        Some(UNSIGNED),
    ),
    (
        "a seal that is a link out of the directory",
        |world| {
            fs::rename(world.path(SEAL), world.path("elsewhere")).unwrap();
            symlink(world.path("elsewhere"), world.path(SEAL)).unwrap();
        },
        2,
        Some("locks/driftlock.seal is refused: it is a link to"),
    ),
    (
        "a seal that is a directory",
        |world| {
            fs::remove_file(world.path(SEAL)).unwrap();
            fs::create_dir(world.path(SEAL)).unwrap();
        },
        2,
        Some("locks/driftlock.seal is refused: it could not be read: it is not a regular file"),
    ),
    (
        "a seal that is a FIFO",
        |world| {
            fs::remove_file(world.path(SEAL)).unwrap();
            rustix::fs::mknodat(
                rustix::fs::CWD,
                world.path(SEAL),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap();
        },
        2,
        Some("locks/driftlock.seal is refused: it could not be read: it is not a regular file"),
    ),
    // Good signatures of what driftlock would not have written.
    (
        "a signed seal in another form",
        |world| sign_other(world, |text| text.replace("\"serial\": 1", "\"serial\":1")),
        2,
        Some("driftlock.seal is refused: it is not as driftlock writes it"),
    ),
    (
        "a signed seal with a key more",
        |world| sign_other(world, |text| text.replace("\"serial\": 1,", "\"serial\": 1,\n\"note\": 1,")),
        2,
        Some("driftlock.seal is refused: it is not as driftlock writes it: unknown field `note`"),
    ),
    (
        "a signed seal of version 2",
        |world| sign_other(world, |text| text.replace("_seal\": 1", "_seal\": 2")),
        2,
        Some("driftlock.seal is refused: its format version is 2, and only 1 is known"),
    ),
    (
        "a signed seal with a lock outside the directory",
        |world| {
            sign_other(world, |text| {
                text.replace(
                    "{\"path\":\"tree",
                    &format!("{{\"path\":\"../allowed\",\"sha256\":\"{}\"}},\n{{\"path\":\"tree", "0".repeat(64)),
                )
            });
        },
        2,
        Some("the lock locks/../allowed was sealed, and is missing"),
    ),
    (
        "a signed seal with a lock twice",
        |world| {
            sign_other(world, |text| {
                let lock = text.lines().find(|line| line.starts_with("{\"path\"")).unwrap().to_owned();
                text.replace(&lock, &format!("{lock},\n{lock}"))
            });
        },
        2,
        Some(
            "driftlock.seal is refused: it is not as driftlock writes it: the spaces, the line feeds or the order differ",
        ),
    ),
    // Who signs, and for what.
    (
        "a stranger's signature",
        |world| {
            keygen(world, "ed25519", "stranger");
            sign_by_hand(world, "stranger", "driftlock");
        },
        2,
        Some("is refused: it is not among the allowed signers"),
    ),
    (
        "a stranger's signature with the name of an allowed key in it",
        |world| {
            keygen(world, "ed25519", "stranger");
            sign_by_hand(world, "stranger", "driftlock");
            let (theirs, ours) = (blob(world, "stranger"), blob(world, "key"));
            edit_signature(world, |bytes| replaced(&bytes, &theirs, &ours));
        },
        2,
        Some(UNSIGNED),
    ),
    (
        "a lock that would take years to hash",
        |world| fs::File::create(world.path("locks/tree.lock.json")).unwrap().set_len(1 << 42).unwrap(),
        2,
        Some("the lock locks/tree.lock.json is refused: it could not be read: it is larger than 4294967296 bytes"),
    ),
    (
        "a key that can't sign seals",
        |world| {
            keygen(world, "rsa", "rsa");
            sign_by_hand(world, "rsa", "driftlock");
        },
        2,
        Some("driftlock.seal.sig is refused: its key can't be used: keys of type ssh-rsa can't sign seals"),
    ),
    (
        "a signature for git",
        |world| sign_by_hand(world, "key", "git"),
        2,
        Some("driftlock.seal.sig is refused: it was made for the namespace \"git\", not for \"driftlock\""),
    ),
    (
        "a namespace that begins like ours",
        |world| sign_by_hand(world, "key", "driftlock2"),
        2,
        Some("it was made for the namespace \"driftlock2\""),
    ),
    (
        "a namespace in capitals",
        |world| sign_by_hand(world, "key", "Driftlock"),
        2,
        Some("it was made for the namespace \"Driftlock\""),
    ),
    (
        "a key that expired",
        |world| allow_with(world, "valid-before=\"20200101Z\""),
        2,
        Some("is refused: it was valid until 2020-01-01T00:00:00Z"),
    ),
    (
        "a key that is not valid yet",
        |world| allow_with(world, "valid-after=\"21000101Z\""),
        2,
        Some("is refused: it is not valid before 2100-01-01T00:00:00Z"),
    ),
    (
        "a key for git alone",
        |world| allow_with(world, "namespaces=\"git\""),
        2,
        Some("is refused: the allowed signers have it only for other namespaces"),
    ),
    (
        "a key that is valid now",
        |world| allow_with(world, "valid-after=\"20200101\",namespaces=\"git,driftlock\",valid-before=\"21000101\""),
        0,
        None,
    ),
    // The allowed signers.
    (
        "an authority",
        |world| allow_with(world, "cert-authority"),
        2,
        Some("the allowed signers allowed are refused: line 1: certificate authorities are not supported"),
    ),
    (
        "an unknown option",
        |world| allow_with(world, "verify-required"),
        2,
        Some("the allowed signers allowed are refused: line 1: the option verify-required is unknown"),
    ),
    (
        "patterns of namespaces",
        |world| allow_with(world, "namespaces=\"drift*\""),
        2,
        Some("the allowed signers allowed are refused: line 1: \"drift*\" is not a list of namespaces"),
    ),
    (
        "no signers at all",
        |world| fs::write(world.path("allowed"), "# none\n").unwrap(),
        2,
        Some("the allowed signers allowed are refused: it names no signer"),
    ),
    (
        "a line more that can't be read",
        |world| edit(world, "allowed", |text| text + "ops@example.org ssh-ed25519\n"),
        2,
        Some("the allowed signers allowed are refused: line 2: it has no key"),
    ),
    (
        "allowed signers with line ends of Windows",
        |world| edit(world, "allowed", |text| text.replace('\n', "\r\n")),
        2,
        Some("the allowed signers allowed are refused: line 1: it contains a control character"),
    ),
    (
        "another type in front of the key",
        |world| edit(world, "allowed", |text| text.replace("ssh-ed25519", "ecdsa-sha2-nistp256")),
        2,
        Some("line 1: the line says ecdsa-sha2-nistp256, but the key is of type ssh-ed25519"),
    ),
    // The locks.
    (
        "an intrusion that was locked",
        |world| {
            world.write("m/backdoor", "1");
            world.driftlock(["lock"]).code(0);
        },
        2,
        Some(NOT_SEALED),
    ),
    (
        "an intrusion that was locked, and drift beside it",
        |world| {
            world.write("m/backdoor", "1");
            world.driftlock(["lock"]).code(0);
            world.write("m/a", "2");
        },
        3,
        Some(NOT_SEALED),
    ),
    (
        "a lock that is not whole",
        |world| edit(world, "locks/tree.lock.json", |text| text[..text.len() - 4].to_owned()),
        2,
        Some(NOT_SEALED),
    ),
    (
        "a lock that is gone",
        |world| fs::remove_file(world.path("locks/tree.lock.json")).unwrap(),
        3,
        Some("the lock locks/tree.lock.json was sealed, and is missing"),
    ),
    (
        "a lock more",
        |world| assert!(fs::copy(world.path("locks/tree.lock.json"), world.path("locks/more.lock.json")).is_ok()),
        2,
        Some("the lock locks/more.lock.json is not in the seal"),
    ),
    (
        "a lock more in the folder of a server",
        |world| {
            fs::create_dir(world.path("locks/web")).unwrap();
            fs::write(world.path("locks/web/x.lock.txt"), "").unwrap();
        },
        2,
        Some("the lock locks/web/x.lock.txt is not in the seal"),
    ),
    (
        "a lock of the scripts more",
        |world| fs::write(world.path("locks/tree.hash.txt"), "").unwrap(),
        2,
        Some("the lock locks/tree.hash.txt is not in the seal"),
    ),
    (
        "a lock more with a name that is not UTF-8",
        |world| fs::write(world.path("locks").join(std::ffi::OsStr::from_bytes(b"\xff.lock.json")), "").unwrap(),
        2,
        Some("the lock locks/\\xff.lock.json is not in the seal"),
    ),
    ("other files beside the locks", |world| fs::write(world.path("locks/README.md"), "x").unwrap(), 0, None),
    // The declaration.
    (
        "something excluded",
        |world| {
            world.write("m/backdoor", "1");
            fs::write(world.path("driftlock.toml"), format!("{TREES}exclude = [\"**/backdoor\"]\n")).unwrap();
        },
        2,
        Some("the declaration driftlock.toml is not the one that was sealed"),
    ),
    (
        "another root",
        |world| {
            fs::create_dir_all(world.path("copy/m")).unwrap();
            fs::write(world.path("copy/m/a"), "1").unwrap();
            edit(world, "driftlock.toml", |text| text.replace("root = \"root\"", "root = \"copy\""));
        },
        2,
        Some("the declaration driftlock.toml is not the one that was sealed"),
    ),
    (
        "a check that is switched off",
        |world| edit(world, "driftlock.toml", |text| text + "modes = [\"local\"]\n"),
        2,
        Some("the declaration driftlock.toml is not the one that was sealed"),
    ),
    (
        "a comment and blanks",
        |world| edit(world, "driftlock.toml", |text| format!("# sealed\n{}", text.replace(" = ", "   = "))),
        0,
        None,
    ),
    (
        "reports elsewhere",
        |world| edit(world, "driftlock.toml", |text| text.replace("\"reports\"", "\"elsewhere\"")),
        0,
        None,
    ),
];

#[needs("ssh-keygen")]
fn each_way_to_tamper_has_its_exit_code_and_its_message() {
    assert!(ROWS.iter().filter(|row| row.3.is_some()).count() >= 30);
    for (name, act, code, said) in ROWS {
        let world = scene("ed25519");
        seal(&world);
        act(&world);
        let (report, found) = verdict(&world, &["--seal", "allowed"], *code);
        match (said, &found[..]) {
            (None, []) => assert_eq!(report["seal"]["signer"], OPS, "{name}"),
            (Some(said), [found]) => assert!(found.contains(said), "{name}: {found}"),
            _ => panic!("{name}: {said:?}, {found:?}"),
        }
        let is_pass = if *code == 0 { "PASS" } else { "FAIL" };
        assert_eq!(report["overall"], is_pass, "{name}");
    }
}
