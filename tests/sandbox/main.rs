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
mod numbers;
mod scene;
mod traced;
mod working;

use std::panic::catch_unwind;
use std::process::ExitCode;

const TESTS: &[(&str, fn())] = &[
    ("attempts::each_layer_refuses_what_it_claims", attempts::each_layer_refuses_what_it_claims),
    (
        "attempts::each_layer_refuses_it_to_an_unprivileged_user",
        attempts::each_layer_refuses_it_to_an_unprivileged_user,
    ),
    ("numbers::no_call_beside_the_list_gets_through", numbers::no_call_beside_the_list_gets_through),
    ("numbers::these_calls_would_get_through_without", numbers::these_calls_would_get_through_without),
    ("numbers::calls_of_another_architecture_end_the_process", numbers::calls_of_another_architecture_end_the_process),
    ("working::threads_memory_and_reading", working::threads_memory_and_reading),
    ("working::replacing_a_file", working::replacing_a_file),
    ("working::a_grant_of_one_file", working::a_grant_of_one_file),
    ("working::a_stop_in_mid_sleep", working::a_stop_in_mid_sleep),
    ("working::a_panic_prints_and_aborts", working::a_panic_prints_and_aborts),
    ("degraded::full_on_this_kernel", degraded::full_on_this_kernel),
    ("degraded::older_abis_hold_what_they_name", degraded::older_abis_hold_what_they_name),
    ("degraded::a_missing_layer_is_named", degraded::a_missing_layer_is_named),
    ("degraded::a_layer_that_breaks_its_word_is_an_error", degraded::a_layer_that_breaks_its_word_is_an_error),
    ("degraded::a_second_thread_is_refused", degraded::a_second_thread_is_refused),
    ("degraded::asking_changes_nothing", degraded::asking_changes_nothing),
    ("traced::only_what_was_granted_is_called_for", traced::only_what_was_granted_is_called_for),
];

fn main() -> ExitCode {
    if let Some(code) = child::run() {
        return code;
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = TESTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(*part)));
    if arguments.iter().any(|argument| argument == "--list") {
        chosen.for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    let mut failed = Vec::new();
    for (name, test) in chosen {
        let outcome = catch_unwind(test);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
