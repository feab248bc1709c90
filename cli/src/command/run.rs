//! `wythe run`.

use std::io::{self, Write};

use wythe_sandbox::step::Streams;
use wythe_sandbox::{Outcome, Output, Step, Stream};
use wythe_store::image::catalog::StoredImage;
use wythe_store::lease::Lease;

use crate::args::container::PullWhen;
use crate::args::image::RunImageArgs;
use crate::command::pull::{self, Platforms};
use crate::container::Container;
use crate::failure::{Class, Failure};
use crate::host;
use crate::limits::tell_keeper;
use crate::session::Session;
use crate::stored_image;
use crate::terminal::Terminal;

/// Runs a command in an image, on a file system that is forgotten afterwards.
pub(crate) fn run(args: &RunImageArgs, session: &Session) -> Result<(), Failure> {
    session.enter(args.steps.isolation)?;
    session.isolate()?;
    let store = session.store()?;
    let lease = store.lease()?;
    let image = image(args, (&lease, session))?;
    let emulators = host::emulators(&session.settings);
    emulators.enable(&image.config.value().architecture)?;
    // What it runs on goes when it has ended.
    let (step, _ground) =
        Container { lease: &lease, image: &image, args, settings: &session.settings }.step()?;
    tell_keeper(&step.quota, session);
    let cancel = session.cancel()?;
    let start = |streams| wythe_sandbox::run(&Step { streams, ..step }, &Passed, &cancel);
    let outcome = if args.tty.is_on() {
        terminal()?.lend(start).map_err(|error| unusable(&error))??
    } else {
        start(Streams::Fed)?
    };
    ended(outcome)
}

/// The image, which is fetched where the store has none or the flags say so.
fn image(
    args: &RunImageArgs,
    (lease, session): (&Lease, &Session),
) -> Result<StoredImage, Failure> {
    let (name, platform) = (args.image()?, args.which.platform()?);
    let is_here = || stored_image::resolve(lease.store(), name).is_ok();
    let fetched = match args.docker.pull {
        PullWhen::Always => true,
        PullWhen::Missing => !is_here(),
        PullWhen::Never => false,
    };
    if fetched {
        let which = platform.clone().map_or(Platforms::OfThisMachine, Platforms::One);
        pull::fetch(&name.parse()?, which, (lease, session))?;
    }
    stored_image::complete(lease, name, platform.as_ref(), session)
}

fn unusable(error: &io::Error) -> Failure {
    Failure::new(Class::Environment, "cannot make a terminal").because(error)
}

fn terminal() -> Result<Terminal, Failure> {
    Terminal::open().map_err(|error| unusable(&error))?.ok_or_else(|| {
        let text = "--tty needs a terminal on standard input and standard error";
        Failure::usage(text).remedy("leave --tty out where there is none")
    })
}

/// Hands on what the command prints. It was asked for by the person at the terminal, as with any
/// other program they start, so that nothing is changed.
struct Passed;

impl Output for Passed {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        // A reader that is gone does not stop the command, as a closed pipe would a program's.
        let _ = match stream {
            Stream::Stderr => io::stderr().write_all(bytes),
            Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        };
    }
}

fn ended(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Exited(0) => Ok(()),
        Outcome::Cancelled => Err(Failure::new(Class::Cancelled, "interrupted")),
        Outcome::Exited(_)
        | Outcome::Signaled(_)
        | Outcome::OutOfMemory(_)
        | Outcome::TimedOut
        | Outcome::MadeDevice => {
            let code = outcome.code();
            let told = match outcome {
                Outcome::OutOfMemory(most) => format!(
                    "the command was out of memory: killed by the kernel at its limit of {most} bytes"
                ),
                Outcome::TimedOut => "the command was out of time".to_owned(),
                Outcome::Exited(_)
                | Outcome::Signaled(_)
                | Outcome::Cancelled
                | Outcome::MadeDevice => format!("the command ended with {code}"),
            };
            let failure = Failure::new(Class::Step, told);
            Err(failure.code(u8::try_from(code).unwrap_or(u8::MAX)))
        }
    }
}
