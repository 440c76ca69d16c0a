//! See the library for what flows where; this only turns a result into an exit code.

fn main() -> std::process::ExitCode {
    driftlock::main()
}
