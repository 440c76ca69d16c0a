//! Runs many messages through the block function, as many at a time as the kernel has lanes.

use driftlock_lanes::{INITIAL, Kernel, MOST_LANES, State};

/// Runs the blocks of each message into the state of the same place. The longest messages start first, and a lane whose
/// message has ended takes the next one, so that few lanes are empty before the end.
pub fn compress_all(kernel: Kernel, states: &mut [State], messages: &[&[[u8; 64]]]) {
    let mut waiting: Vec<usize> = (0..messages.len().min(states.len())).collect();
    // The last one is taken first.
    waiting.sort_by_key(|index| messages[*index].len());
    let mut lanes: Vec<(usize, &[[u8; 64]])> = Vec::with_capacity(MOST_LANES);
    loop {
        lanes.retain(|(_, rest)| !rest.is_empty());
        while lanes.len() < kernel.lanes()
            && let Some(next) = waiting.pop()
        {
            if !messages[next].is_empty() {
                lanes.push((next, messages[next]));
            }
        }
        let Some(blocks) = lanes.iter().map(|(_, rest)| rest.len()).min() else { return };
        let (mut chains, mut parts) = ([INITIAL; MOST_LANES], [&[][..]; MOST_LANES]);
        for (lane, (index, rest)) in lanes.iter_mut().enumerate() {
            chains[lane] = states[*index];
            (parts[lane], *rest) = rest.split_at(blocks);
        }
        kernel.compress_each(&mut chains[..lanes.len()], &parts[..lanes.len()]);
        for (chain, (index, _)) in chains.iter().zip(&lanes) {
            states[*index] = *chain;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_message_as_if_it_were_alone(
            lengths in prop::collection::vec(prop_oneof![0..4_usize, 0..40_usize, Just(300)], 0..30),
            byte: u8,
        ) {
            let messages: Vec<Vec<[u8; 64]>> = lengths
                .iter()
                .enumerate()
                .map(|(number, length)| (0..*length).map(|at| [byte.wrapping_add((number * 7 + at) as u8); 64]).collect())
                .collect();
            let messages: Vec<&[[u8; 64]]> = messages.iter().map(Vec::as_slice).collect();
            let start = |number: usize| INITIAL.map(|word| word.wrapping_add(number as u32));
            let mut alone: Vec<State> = (0..messages.len()).map(start).collect();
            for (state, message) in alone.iter_mut().zip(&messages) {
                sha2::block_api::compress256(state, message);
            }
            for kernel in Kernel::all() {
                let mut states: Vec<State> = (0..messages.len()).map(start).collect();
                compress_all(kernel, &mut states, &messages);
                prop_assert_eq!(&states, &alone, "{}", kernel);
            }
        }
    }
}
