//! Archives whose entries are read, and archives that are refused.

use super::*;

/// An archive that arrives in parts of this size.
struct Parts<'a>(&'a [u8], usize);

impl Source for Parts<'_> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, EngineError> {
        let read = self.0.len().min(into.len()).min(self.1);
        into[..read].copy_from_slice(&self.0[..read]);
        self.0 = &self.0[read..];
        Ok(read)
    }
}

const ATTRIBUTES: AttributeSet = AttributeSet { mode: true, owner: true, ..NONE };
const NONE: AttributeSet = AttributeSet {
    state: false,
    mounts: false,
    networks: false,
    ports: false,
    labels: false,
    env: false,
    security: false,
    compose: false,
    mode: false,
    owner: false,
    xattrs: false,
};

fn read(archive: &[u8], size: usize) -> Result<List, EngineError> {
    collect(Parts(archive, size), &Selection::everything(), ATTRIBUTES).map(|(list, _)| list)
}

/// A header with a valid checksum, and contents.
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
    let mut archive = [&sealed(block)[..], contents].concat();
    archive.resize(archive.len().next_multiple_of(512), 0);
    archive
}

fn sealed(mut block: [u8; 512]) -> [u8; 512] {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// The archive with other bytes in its first header.
fn with(archive: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut block: [u8; 512] = archive[..512].try_into().unwrap();
    block[at..at + bytes.len()].copy_from_slice(bytes);
    [&sealed(block)[..], &archive[512..]].concat()
}

const END: [u8; 1024] = [0; 1024];

#[test]
fn entries_are_the_same_in_parts_of_every_size() {
    let records = [pax("path", "./d/grüße"), pax("uid", "3000000")].concat();
    let archive = [
        entry("./", b'5', "", b""),
        entry("./a", b'0', "", &[b'a'; 513]),
        entry("./b", b'1', "./a", b""),
        entry("./d/", b'5', "", b""),
        entry("././@LongLink", b'L', "", &[&b"./d/"[..], &b"n".repeat(200), b"\0"].concat()),
        entry("./d/n", b'0', "", b""),
        entry("x", b'x', "", &records),
        entry("./d/x", b'0', "", b"x"),
        entry("./l", b'2', "../t", b""),
        entry("./p", b'6', "", b""),
        END.to_vec(),
        // GNU tar pads an archive to 10 KiB.
        vec![0; 9216],
    ]
    .concat();
    let whole = read(&archive, usize::MAX).unwrap();
    let names: Vec<_> = whole.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(names, [".", "a", "b", "d/grüße", &format!("d/{}", "n".repeat(200)), "l", "p"]);
    let content = |index: usize| whole.iter().nth(index).unwrap().1.as_ref().unwrap();
    assert_eq!(content(1).content, content(2).content, "a hard link has the contents of its target");
    assert!(matches!(content(1).content, Content::File { size: 513, executable: false, .. }));
    assert_eq!(content(3).attributes.as_deref().unwrap().owner, Some((3_000_000, 0)));
    assert_eq!(content(5).content, Content::Symlink { target: b"../t".as_slice().into() });
    assert_eq!(content(6).content, Content::Fifo);
    for size in [1, 7, 511, 512, 513] {
        assert_eq!(read(&archive, size).unwrap(), whole, "{size}");
    }
}

/// A pax record: its length, with the digits of the length, a key and a value.
fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length =
        (1..).map(|digits| rest.len() + digits).find(|length| length.to_string().len() + rest.len() == *length);
    format!("{}{rest}", length.unwrap()).into_bytes()
}

#[test]
fn malformed_archives_are_refused() {
    let good = entry("a", b'0', "", b"a");
    let whole = [&good[..], &END].concat();
    assert!(read(&whole, 100).is_ok());
    let then_end = |archive: &[u8]| [archive, &END].concat();
    let extended = |record: &str| [entry("x", b'x', "", record.as_bytes()), whole.clone()].concat();
    for (archive, problem) in [
        (Vec::new(), "it is truncated"),
        (whole[..300].to_vec(), "it is truncated"),
        (whole[..512].to_vec(), "it is truncated"),
        (whole[..1024].to_vec(), "it is truncated"),
        (whole[..1536].to_vec(), "it is truncated"),
        ([&whole[..], b"x"].concat(), "there is data after its end"),
        ([&whole[..], &good].concat(), "there is data after its end"),
        ([&whole[..], &vec![0; 2 << 20]].concat(), "there is data after its end"),
        ([&whole[..512], &whole[..]].concat(), "the checksum"),
        ([&b"b"[..], &whole[1..]].concat(), "the checksum of a header is wrong"),
        (then_end(&entry("../a", b'0', "", b"")), "an invalid path"),
        (then_end(&entry("/a", b'0', "", b"")), "an invalid path"),
        (then_end(&entry("", b'0', "", b"")), "an invalid path"),
        (then_end(&entry("a//b", b'0', "", b"")), "an invalid path"),
        (then_end(&[&good[..], &good].concat()), "an entry twice"),
        (then_end(&[&good[..], &entry("./a", b'5', "", b"")].concat()), "an entry twice"),
        (then_end(&[&entry("h", b'1', "a", b"")[..], &good].concat()), "a hard link to an entry that is not in it"),
        (
            then_end(&[entry("d", b'5', "", b""), entry("h", b'1', "d", b"")].concat()),
            "a hard link to an entry that is not in it",
        ),
        (then_end(&entry("l", b'2', "t", b"x")), "an entry that is not a file has contents"),
        (then_end(&entry("s", b'S', "", b"")), "of type 'S'"),
        (then_end(&entry("g", b'g', "", b"")), "of type 'g'"),
        (then_end(&with(&good, 124, b"99999999999\0")), "a header has an invalid number"),
        (then_end(&with(&good, 124, b"-0000000001\0")), "a header has an invalid number"),
        (then_end(&with(&good, 124, &[0xff; 12])), "a header has an invalid number"),
        (
            then_end(&with(&good, 124, &[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
            "larger than any file",
        ),
        (then_end(&with(&good, 124, b"77777777777\0")), "it is truncated"),
        (then_end(&with(&good, 124, &[0x80, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0])), "more than 68719476736 bytes"),
        (then_end(&with(&good, 108, &[0x80, 0, 0, 1, 0, 0, 0, 0])), "a header has a number that is too large"),
        (then_end(&with(&entry("n", b'L', "", b"x"), 124, b"77777777777\0")), "bytes for one name"),
        (then_end(&entry("n", b'L', "", b"x")), "it ends after a header for another entry"),
        (extended("12 path=b"), "an extended header is malformed"),
        (extended("99 path=b\n"), "an extended header is malformed"),
        (extended("x path=b\n"), "an extended header is malformed"),
        (extended("0 path=b\n"), "an extended header is malformed"),
        (extended("9 path:b\n"), "an extended header is malformed"),
        (extended("12 path=b\0c\n"), "a name contains a NUL byte"),
        (extended("12 size=abc\n"), "an extended header has an invalid number"),
        (extended("22 GNU.sparse.major=1\n"), "it contains a sparse file"),
    ] {
        let refused = read(&archive, 100).unwrap_err().to_string();
        assert!(refused.contains(problem), "{problem}: {refused}");
    }
}
