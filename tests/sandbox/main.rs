//! What the sandbox refuses, by which layer, and what goes on working inside it.
//!
//! Each case runs in a process of its own: this binary again, told by its environment what to try ([`child`]). It has
//! no libtest harness because that starts a thread before anything else runs, and the sandbox wants to be first.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test builds the scene that the crate only reads"
)]

mod attempts;
mod child;
mod degraded;
mod library;
#[path = "../machine/mod.rs"]
mod machine;
mod numbers;
mod scene;
mod traced;
mod working;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use crate::machine::{Has, landlock, strace, undiminished};

/// A test's name, itself, and what it needs.
type Test = (&'static str, fn(), &'static [fn() -> Has]);

const TESTS: &[Test] = &[
    (
        "attempts::each_layer_refuses_what_it_claims",
        attempts::each_layer_refuses_what_it_claims,
        &[landlock, undiminished],
    ),
    (
        "attempts::each_layer_refuses_it_to_an_unprivileged_user",
        attempts::each_layer_refuses_it_to_an_unprivileged_user,
        &[landlock],
    ),
    ("numbers::no_call_beside_the_list_gets_through", numbers::no_call_beside_the_list_gets_through, &[landlock]),
    (
        "numbers::these_calls_would_get_through_without",
        numbers::these_calls_would_get_through_without,
        &[landlock, undiminished],
    ),
    (
        "numbers::calls_of_another_architecture_end_the_process",
        numbers::calls_of_another_architecture_end_the_process,
        &[landlock],
    ),
    ("working::threads_memory_and_reading", working::threads_memory_and_reading, &[landlock]),
    ("working::replacing_a_file", working::replacing_a_file, &[landlock]),
    ("working::removing_what_is_old", working::removing_what_is_old, &[landlock]),
    ("working::a_grant_of_one_file", working::a_grant_of_one_file, &[landlock]),
    ("working::a_stop_in_mid_sleep", working::a_stop_in_mid_sleep, &[landlock]),
    ("working::a_panic_prints_and_aborts", working::a_panic_prints_and_aborts, &[landlock]),
    ("degraded::full_on_this_kernel", degraded::full_on_this_kernel, &[landlock]),
    (
        "degraded::older_abis_hold_what_they_name",
        degraded::older_abis_hold_what_they_name,
        &[landlock, strace, undiminished],
    ),
    ("degraded::a_missing_layer_is_named", degraded::a_missing_layer_is_named, &[landlock, strace]),
    (
        "degraded::a_layer_that_breaks_its_word_is_an_error",
        degraded::a_layer_that_breaks_its_word_is_an_error,
        &[landlock, strace],
    ),
    ("degraded::a_second_thread_is_refused", degraded::a_second_thread_is_refused, &[landlock, strace]),
    ("degraded::asking_changes_nothing", degraded::asking_changes_nothing, &[landlock]),
    (
        "traced::only_what_was_granted_is_called_for",
        traced::only_what_was_granted_is_called_for,
        &[landlock, strace, undiminished],
    ),
    ("library::a_check_verifies_the_seal", library::a_check_verifies_the_seal, &[landlock, library::signers]),
];

fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }
    let trial = |&(name, test, needs): &Test| {
        let full_name = format!("sandbox::{name}");
        let run = move || {
            let needs: Vec<&dyn Fn() -> Has> = needs.iter().map(|need| need as _).collect();
            if machine::has_all(&full_name, &needs) {
                test();
            }
            Ok(())
        };
        // As `#[needs]` has it: what takes another program is left to scripts/test.
        Trial::test(name, run).with_ignored_flag(needs.iter().any(|need| {
            [strace, library::signers].into_iter().any(|other: fn() -> Has| std::ptr::fn_addr_eq(*need, other))
        }))
    };
    libtest_mimic::run(&Arguments::from_args(), TESTS.iter().map(trial).collect()).exit_code()
}
