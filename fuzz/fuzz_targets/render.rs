//! Any report in every form, each read by a parser that is not ours.
#![no_main]

#[path = "render/commands.rs"]
mod commands;
#[path = "render/markup.rs"]
mod markup;
#[path = "render/values.rs"]
mod values;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for (name, form) in driftlock::internals::fuzzing::rendered(data) {
        match name {
            "text" | "narrow" => commands::none(&form),
            "json" => drop(values::json(&form)),
            "html" => markup::html(&form),
            "github" => commands::github(&form),
            "junit" => markup::junit(&form),
            "sarif" => values::sarif(&form),
            "slack" => values::slack(&form),
            "prometheus" => values::prometheus(&form),
            _ => panic!("{name} has no parser"),
        }
    }
});
