//! Writes the hunks of a diff.

use std::io::{self, Write};

use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};

/// Unchanged lines around each change.
const CONTEXT: usize = 3;

/// Limits the search for the shortest diff, whose cost for hostile contents is the product of their line counts. Beyond
/// the limit, all lines between the first and the last change count as changed, which is also a correct diff.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    one: u64,
    all: u64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { one: 4_000_000, all: 64_000_000 }
    }
}

impl Effort {
    fn allows(&mut self, old: usize, new: usize) -> bool {
        let cost = (old as u64).saturating_mul(new as u64);
        let left = if cost <= self.one { self.all.checked_sub(cost) } else { None };
        if let Some(left) = left {
            self.all = left;
        }
        left.is_some()
    }
}

/// Writes the hunks.
pub(super) fn write(out: &mut impl Write, old: &[u8], new: &[u8], effort: &mut Effort) -> io::Result<()> {
    let [old, new] = [old, new].map(|bytes| bytes.split_inclusive(|&byte| byte == b'\n').collect::<Vec<_>>());
    for group in group_diff_ops(operations(&old, &new, effort), CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let lines = |first: std::ops::Range<usize>, last: std::ops::Range<usize>| {
            let number = last.end - first.start;
            // An empty range names the line before it.
            format!("{},{number}", first.start + usize::from(number > 0))
        };
        let (before, after) = (lines(first.old_range(), last.old_range()), lines(first.new_range(), last.new_range()));
        writeln!(out, "@@ -{before} +{after} @@")?;
        for operation in &group {
            match operation {
                DiffOp::Equal { .. } => all(out, b' ', &old[operation.old_range()])?,
                _ => {
                    all(out, b'-', &old[operation.old_range()])?;
                    all(out, b'+', &new[operation.new_range()])?;
                }
            }
        }
    }
    Ok(())
}

fn all(out: &mut impl Write, sign: u8, lines: &[&[u8]]) -> io::Result<()> {
    for line in lines {
        out.write_all(&[sign])?;
        out.write_all(line)?;
        if !line.ends_with(b"\n") {
            out.write_all(b"\n\\ No newline at end of file\n")?;
        }
    }
    Ok(())
}

/// The operations that turn the old lines into the new ones.
fn operations(old: &[&[u8]], new: &[&[u8]], effort: &mut Effort) -> Vec<DiffOp> {
    let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (left, right) = (&old[before..], &new[before..]);
    let after = left.iter().rev().zip(right.iter().rev()).take_while(|(old, new)| old == new).count();
    let (left, right) = (&left[..left.len() - after], &right[..right.len() - after]);
    let mut operations = Vec::new();
    if before > 0 {
        operations.push(DiffOp::Equal { old_index: 0, new_index: 0, len: before });
    }
    if effort.allows(left.len(), right.len()) {
        let found = capture_diff_slices(Algorithm::Myers, left, right);
        operations.extend(found.into_iter().map(|operation| shifted(operation, before)));
    } else {
        let (old_len, new_len) = (left.len(), right.len());
        operations.push(DiffOp::Replace { old_index: before, old_len, new_index: before, new_len });
    }
    if after > 0 {
        let (old_index, new_index) = (old.len() - after, new.len() - after);
        operations.push(DiffOp::Equal { old_index, new_index, len: after });
    }
    operations
}

fn shifted(operation: DiffOp, by: usize) -> DiffOp {
    match operation {
        DiffOp::Equal { old_index, new_index, len } => {
            DiffOp::Equal { old_index: old_index + by, new_index: new_index + by, len }
        }
        DiffOp::Delete { old_index, old_len, new_index } => {
            DiffOp::Delete { old_index: old_index + by, old_len, new_index: new_index + by }
        }
        DiffOp::Insert { old_index, new_index, new_len } => {
            DiffOp::Insert { old_index: old_index + by, new_index: new_index + by, new_len }
        }
        DiffOp::Replace { old_index, old_len, new_index, new_len } => {
            DiffOp::Replace { old_index: old_index + by, old_len, new_index: new_index + by, new_len }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunks(old: &str, new: &str, effort: &mut Effort) -> String {
        let mut out = Vec::new();
        write(&mut out, old.as_bytes(), new.as_bytes(), effort).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hunks_are_as_diff_writes_them() {
        let effort = &mut Effort::default();
        assert_eq!(hunks("a\nb\nc\n", "a\nx\nc\n", effort), "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        assert_eq!(hunks("", "a\n", effort), "@@ -0,0 +1,1 @@\n+a\n");
        assert_eq!(hunks("a\n", "", effort), "@@ -1,1 +0,0 @@\n-a\n");
        let none = "\\ No newline at end of file\n";
        assert_eq!(hunks("a\n", "a", effort), format!("@@ -1,1 +1,1 @@\n-a\n+a\n{none}"));
        let long: String = (0..40).map(|line| format!("{line}\n")).collect();
        let changed = long.replace("\n2\n", "\ntwo\n").replace("\n30\n", "\n");
        assert_eq!(
            hunks(&long, &changed, effort),
            "@@ -1,6 +1,6 @@\n 0\n 1\n-2\n+two\n 3\n 4\n 5\n@@ -28,7 +28,6 @@\n 27\n 28\n 29\n-30\n 31\n 32\n 33\n"
        );
    }

    /// Contents that have nothing in common and no order cost no more than their lines, and are one hunk.
    #[test]
    fn what_would_take_too_long_is_replaced_as_a_whole() {
        let [old, new] =
            [0, 1].map(|side| (0..5000).map(|line| format!("{}\n", line * 7919 % 5003 * 2 + side)).collect::<String>());
        let effort = &mut Effort::default();
        let text = hunks(&format!("same\n{old}"), &format!("same\n{new}"), effort);
        assert!(text.starts_with("@@ -1,5001 +1,5001 @@\n same\n-"), "{}", &text[..60]);
        assert_eq!(effort.all, Effort::default().all, "nothing was spent");
        for _ in 0..100 {
            hunks("a\nb\n", "b\na\n", effort);
        }
        assert_eq!(effort.all, Effort::default().all - 400);
    }
}
