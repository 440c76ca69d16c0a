//! A tree like those of real machines: 50,000 files, most of them small and a few large, with odd names among them. A
//! plain `cargo test` makes a tenth of it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::machine;

/// How many regular files it has.
pub fn files() -> usize {
    if machine::is_whole_suite() { 50_000 } else { 5_000 }
}

/// Parts of names that programs trip over. No NUL and no `/`: these can't be in a name. All are UTF-8, since globs
/// of a declaration name the links.
const ODD: [&str; 8] = [" ", "\n", "\\", "ü", "\u{202e}", "--", "'\"", "\t"];

/// The tree, which is made once a run and goes with `target/`.
pub fn real_tree() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(make)
}

fn make() -> PathBuf {
    // Not for temporary files, where a system may have little room.
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let done = parent.join(format!("real-tree-{}", files()));
    if done.exists() {
        return done;
    }
    fs::create_dir_all(parent).unwrap();
    let making = tempfile::tempdir_in(parent).unwrap();
    let root = making.path().join("real-tree");
    let mut random: u64 = 0x2545_f491_4f6c_dd1d;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut directory = root.clone();
    for number in 0..files() {
        if number % 25 == 0 {
            let odd = ODD[number / 25 % ODD.len()];
            let (top, middle) = (number / 5000, number / 250 % 20);
            directory = root.join(format!("package {top}/lib{middle}/{odd}{number}"));
            fs::create_dir_all(&directory).unwrap();
            symlink("link target", directory.with_file_name(format!("link{number}"))).unwrap();
        }
        // Sizes as below a /usr: half of them under 2 KB, one in a thousand over 1 MB.
        let size = match next() % 1000 {
            0 => 1_000_000 + next() % 500_000,
            1..50 => 20_000 + next() % 80_000,
            50..300 => 4_000 + next() % 12_000,
            300..500 => 2_000 + next() % 2_000,
            500..510 => 0,
            _ => 1 + next() % 2_000,
        };
        let mut contents = Vec::with_capacity(size as usize + 8);
        while contents.len() < size as usize {
            contents.extend(next().to_le_bytes());
        }
        contents.truncate(size as usize);
        let odd = if number % 100 == 7 { ODD[number / 100 % ODD.len()] } else { "" };
        let name = OsString::from_vec(format!("file{number}{odd}.so").into_bytes());
        fs::write(directory.join(name), contents).unwrap();
    }
    // Another run may have made it meanwhile: then that one is as good.
    let _ = fs::rename(&root, &done);
    assert!(done.exists());
    done
}
