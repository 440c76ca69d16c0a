//! The reports, from outside: what people read, what machines read, and that no name gets through either.

#![allow(clippy::disallowed_methods, reason = "tests run the tools that they hold reports against")]

mod causes;
mod difference;
mod fleet;
mod formats;
mod group;
mod harmless;
mod json;
#[path = "../machine/mod.rs"]
mod machine;
#[path = "../samples/mod.rs"]
mod samples;
mod text;
