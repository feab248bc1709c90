//! The `wythe` program: all of it is `wythe-cli`, which is compiled to be small, while what is linked here is linked to
//! be fast.

use std::process::ExitCode;

fn main() -> ExitCode {
    wythe_cli::run()
}
