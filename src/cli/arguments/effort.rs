//! Arguments about how much of the machine a run takes.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::Args;

use crate::walk;

/// How much of the machine a run takes.
#[derive(Clone, Copy, Debug, Args)]
pub struct Effort {
    /// Number of threads that read and hash [default: one for each core, and up to 32 while files are not in the page
    /// cache]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    /// Take little of the machine: run with the lowest priority, with one thread for each core, and leave the page
    /// cache as it is (since Linux 6.14, on ext4 and XFS)
    // Twice is as good as once: the NixOS unit has it, and so may its extra arguments.
    #[arg(long, global = true, overrides_with = "gentle")]
    pub gentle: bool,
    /// Read at most this many bytes of files per second: a number with K, M or G, and at least 1M
    #[arg(long, global = true, value_name = "RATE", value_parser = rate)]
    pub limit_rate: Option<NonZeroU64>,
}

impl Effort {
    /// The same for a walk.
    pub fn of_walk(self) -> walk::Effort {
        walk::Effort::new(self.threads, self.gentle, self.limit_rate)
    }
}

/// The lowest rate, in bytes per second. With less, a thread that waits for its turn could not be told from one that
/// waits for a file system without an answer.
const LEAST: u64 = 1 << 20;

/// Parses a rate, with the units of `curl --limit-rate`: powers of 1024.
fn rate(text: &str) -> Result<NonZeroU64, String> {
    let (digits, shift) = match text.as_bytes().last().map(u8::to_ascii_uppercase) {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let number: u64 = match digits.parse() {
        Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => number,
        _ => return Err("a rate is a number of bytes per second, with K, M or G for units of 1024: 50M".to_owned()),
    };
    let rate = number.checked_mul(1 << shift).ok_or("the rate is too high: leave it out")?;
    if rate < LEAST {
        return Err("the lowest rate is 1M, one mebibyte per second".to_owned());
    }
    NonZeroU64::new(rate).ok_or_else(|| "the rate is zero".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (text, bytes) in
            [("1M", 1 << 20), ("50m", 50 << 20), ("2G", 2 << 30), ("1024K", 1 << 20), ("3000000", 3_000_000)]
        {
            assert_eq!(rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for text in ["", "M", "+5M", "-5M", "5MB", "5 M", "1.5M", "0", "1000K", "99999999999G", "5é"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
