//! The `wythe` program: read the command line, make one call, show the result.

mod acquire;
mod archive;
mod args;
mod command;
mod container;
mod docker_config;
mod encode;
mod failure;
mod fetch;
mod files;
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
use crate::args::global::ProgressForm;
use crate::command::{Command, Namespaces};
use crate::failure::Failure;
use crate::session::Session;

fn main() -> ExitCode {
    let Cli { global, command } = Cli::of_process();
    let form = global.progress;
    match enter(&command).and_then(|()| command.run(&Session::new(global))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let text = match form {
                ProgressForm::Json => failure.event(),
                _ => failure.lines().join("\n"),
            };
            // A standard error that is closed leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "{text}");
            failure.exit_code()
        }
    }
}

/// Enters the namespaces of the sandbox; the process starts over in them, with the same arguments.
fn enter(command: &Command) -> Result<(), Failure> {
    if command.namespaces() == Namespaces::Needed {
        wythe_sandbox::init()?;
    }
    Ok(())
}
