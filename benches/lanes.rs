//! SHA-256 in one lane and in two, in GB/s, over buffers that stay in the L2 cache.
//!
//! `cargo bench --bench lanes`. One lane is the `sha2` crate over one buffer after the other, two
//! lanes are both at once, so that both sides hash the same bytes. The two take turns, for whatever
//! else the machine does to meet both.

use std::hint::black_box;
use std::time::Instant;

use driftlock_lanes::{INITIAL, compress, compress_pair, implementation};

/// 64 KiB a buffer.
const BLOCKS: usize = 1024;

fn main() {
    // `cargo test --benches` runs this too, without `--bench`: once is enough to see that it works.
    let measure = std::env::args().any(|argument| argument == "--bench");
    // Many short turns: most then fall between the moments when other work takes the core.
    let (repetitions, passes) = if measure { (301, 15) } else { (1, 1) };

    let a = vec![[0x5a; 64]; BLOCKS];
    let b = vec![[0xa5; 64]; BLOCKS];
    let bytes = (passes * 2 * BLOCKS * 64) as f64;

    let mut one = Vec::new();
    let mut two = Vec::new();
    let mut ratio = Vec::new();
    for repetition in 0..=repetitions {
        let start = Instant::now();
        for _ in 0..passes {
            let (mut x, mut y) = (INITIAL, INITIAL);
            compress(&mut x, black_box(&a));
            compress(&mut y, black_box(&b));
            black_box((x, y));
        }
        let one_lane = bytes / start.elapsed().as_secs_f64() / 1e9;

        let start = Instant::now();
        for _ in 0..passes {
            let (mut x, mut y) = (INITIAL, INITIAL);
            compress_pair(&mut x, black_box(&a), &mut y, black_box(&b));
            black_box((x, y));
        }
        let two_lanes = bytes / start.elapsed().as_secs_f64() / 1e9;

        // The first turn only warms up.
        if repetition > 0 {
            one.push(one_lane);
            two.push(two_lanes);
            ratio.push(two_lanes / one_lane);
        }
    }

    println!("implementation      {}", implementation());
    println!("                    median    min    max   of {repetitions}");
    print("one lane, GB/s     ", one);
    print("two lanes, GB/s    ", two);
    print("two lanes over one ", ratio);
}

fn print(what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let (min, max) = (figures[0], figures[figures.len() - 1]);
    println!("{what}  {:5.2}  {min:5.2}  {max:5.2}", figures[figures.len() / 2]);
}
