//! SHA-256 of one message and of as many as the kernel runs at once, in GB/s, over buffers that stay in the L2 cache.
//!
//! `cargo bench --bench lanes [-- KERNEL...]`, by default for every kernel that this CPU has. They take turns, so that
//! other load on the machine affects all of them.

use std::hint::black_box;
use std::time::Instant;

use driftlock_lanes::{INITIAL, Kernel};

/// 16 KiB a message.
const BLOCKS: usize = 256;

/// The bytes that are hashed before a clock is read, in messages.
const MESSAGES: usize = 120;

fn main() {
    // `cargo test --benches` runs this too, without `--bench`: once is enough to see that it works.
    let (measures, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|argument| argument == "--bench");
    // Many short turns: most then fall between the moments when other work takes the core.
    let repetitions = if measures.is_empty() { 1 } else { 201 };
    let kernels: Vec<_> = match &names[..] {
        [] => Kernel::all(),
        names => names.iter().map(|name| Kernel::named(name.as_bytes()).expect("a kernel that this CPU has")).collect(),
    };

    let message = vec![[0x5a; 64]; BLOCKS];
    let bytes = (MESSAGES * BLOCKS * 64) as f64;
    let mut figures = vec![[Vec::new(), Vec::new(), Vec::new()]; kernels.len()];
    for repetition in 0..=repetitions {
        for (kernel, [one, all, ratio]) in kernels.iter().zip(&mut figures) {
            let start = Instant::now();
            for _ in 0..MESSAGES {
                let mut state = INITIAL;
                kernel.compress(&mut state, black_box(&message));
                black_box(state);
            }
            let of_one = bytes / start.elapsed().as_secs_f64() / 1e9;

            let messages = vec![&message[..]; kernel.lanes()];
            let start = Instant::now();
            for _ in 0..MESSAGES / kernel.lanes() {
                let mut states = vec![INITIAL; kernel.lanes()];
                kernel.compress_each(&mut states, black_box(&messages));
                black_box(states);
            }
            let of_all = bytes / start.elapsed().as_secs_f64() / 1e9;

            // The first turn only warms up.
            if repetition > 0 {
                one.push(of_one);
                all.push(of_all);
                ratio.push(of_all / of_one);
            }
        }
    }

    println!("                         median    min    max   of {repetitions}");
    for (kernel, [one, all, ratio]) in kernels.iter().zip(figures) {
        print(&format!("{kernel}, one message, GB/s"), one);
        print(&format!("{kernel}, {} lanes, GB/s", kernel.lanes()), all);
        print(&format!("{kernel}, ratio"), ratio);
    }
}

fn print(what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let (min, max) = (figures[0], figures[figures.len() - 1]);
    println!("{what:<30} {:5.2}  {min:5.2}  {max:5.2}", figures[figures.len() / 2]);
}
