//! The `wythe` program: read the command line, make one call, show the result.

mod acquire;
mod archive;
mod args;
mod command;
mod docker_config;
mod encode;
mod failure;
mod fetch;
mod registry_client;
mod render;
mod session;
mod settings;
mod ship;
mod signals;
mod stored_image;

use std::io::Write;
use std::process::ExitCode;

use crate::args::Cli;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = Cli::of_process();
    let session = Session::new(cli.global);
    match cli.command.run(&session) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = failure.lines().join("\n");
            // A standard error that is closed leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "{text}");
            failure.exit_code()
        }
    }
}
