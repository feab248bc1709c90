//! The `wythe` program: read the command line, make one call, show the result.

mod acquire;
mod archive_file;
mod args;
mod aws;
mod closure;
mod command;
mod container;
mod difference;
mod docker_config;
mod docker_image;
mod failure;
mod fetch;
mod files;
mod host;
mod namespaces;
mod plugin;
mod registry_client;
mod registry_hosts;
mod render;
mod session;
mod settings;
mod signals;
mod stored_image;
mod template;
mod terminal;
mod web;

use std::io::Write;
use std::process::ExitCode;

use crate::args::Cli;
use crate::command::Command;
use crate::failure::Failure;
use crate::plugin::Called;
use crate::session::Session;
use crate::settings::Settings;

/// The allocator of musl has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn run(command: &Command, session: &Session) -> Result<(), Failure> {
    let outcome = command.run(session);
    if command.uses_images() {
        session.tidy();
    }
    session.tell_notices();
    outcome.map_err(|failure| session.traced(failure))
}

fn main() -> ExitCode {
    wythe_store::map::survive_lost_pages();
    host::forbid_other_threads();
    let line = match Called::by(std::env::args_os()) {
        Called::Command(line) => line,
        Called::Protocol(answer) => {
            // Who closed standard output does not want to know.
            let _ = writeln!(std::io::stdout(), "{answer}");
            return ExitCode::SUCCESS;
        }
    };
    let settings = Settings::of_process(line.variables);
    let Cli { mut global, command } = Cli::of_words(line.words);
    let command = command.resolved();
    global.progress = global.progress.settled(&settings);
    let form = global.progress;
    let entered = command.namespaces().enter();
    let session = |barred| Session::new(global, settings, barred);
    match entered.and_then(|barred| run(&command, &session(barred))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A standard error that is closed leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "{}", failure.text(form));
            failure.exit_code()
        }
    }
}
