//! The `wythe` program: read the command line, make one call, show the result.
//!
//! A library, so that it is compiled to be small while the program, which is this alone, is linked to be fast
//! (`docs/adr/0046-what-is-not-hot-is-compiled-to-be-small.md`).

mod acquire;
#[cfg(target_env = "musl")]
mod allocator;
mod archive_file;
mod args;
mod aws;
mod build_record;
mod closure;
mod cloud;
mod command;
mod completion;
mod container;
mod containerd;
mod containers_storage;
mod difference;
mod docker_config;
mod docker_engine;
mod docker_image;
mod exploration;
mod failure;
mod fetch;
mod files;
mod flag_defaults;
mod full_screen;
mod handover;
mod host;
mod kaniko;
mod layer_files;
mod limits;
mod namespaces;
mod neighbour;
mod plugin;
mod prompt;
mod registry_client;
mod registry_hosts;
mod render;
mod sending;
mod session;
mod settings;
mod signals;
mod starter;
mod stored_image;
mod telemetry;
mod template;
mod terminal;
mod web;

use std::io::Write;
use std::process::ExitCode;

use crate::args::Cli;
use crate::args::global::ProgressForm;
use crate::args::isolation::IsolationArg;
use crate::command::Command;
use crate::failure::Failure;
use crate::plugin::Called;
use crate::session::Session;
use crate::settings::Settings;

fn obey(command: &Command, session: &Session) -> Result<(), Failure> {
    let outcome = command.run(session);
    if command.uses_images() {
        session.tidy();
    }
    session.tell_notices();
    outcome.map_err(|failure| session.traced(failure))
}

fn carry_out(cli: Cli, settings: Settings, form: ProgressForm) -> Result<(), Failure> {
    let Cli { mut global, command } = cli;
    global.progress = form;
    let command = command.resolved();
    let allows_one_id = command.isolation().is_some_and(IsolationArg::allows_one_id);
    let store = global.store.clone().or_else(|| settings.store()).filter(|_| allows_one_id);
    let barred = command.namespaces().enter(command.ids(), store.as_deref())?;
    obey(&command, &Session::new(global, settings, barred))
}

/// All that the program does, from its command line to the code that it ends with.
pub fn run() -> ExitCode {
    #[cfg(target_env = "musl")]
    allocator::give_back_soon();
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
    let cli = Cli::of_words(line.words, &settings);
    let given = cli.as_ref().map(|cli| cli.global.progress).unwrap_or_default();
    let cli = cli.and_then(|cli| kaniko::adapted(cli, &settings));
    let form = cli.as_ref().map_or(given, |cli| cli.command.progress(cli.global.progress));
    let form = form.settled(&settings);
    match cli.and_then(|cli| carry_out(cli, settings, form)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A standard error that is closed leaves the exit code to tell.
            let _ = writeln!(std::io::stderr(), "{}", line.caller.told(failure.text(form)));
            failure.exit_code()
        }
    }
}
