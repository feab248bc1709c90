//! `--on-error`: a command where a step failed.

use std::io::{self, Write as _};

use wythe_builder::inspect::{FailedStep, Inspector};
use wythe_sandbox::step::Streams;
use wythe_sandbox::{Outcome, StepError};

use crate::render::screen::Screen;
use crate::terminal::Terminal;

/// Runs a command in every step that failed, one after the other.
pub(crate) struct OnErrorCommand<'a> {
    pub(crate) command: &'a str,
    pub(crate) screen: &'a Screen,
}

impl Inspector for OnErrorCommand<'_> {
    fn inspect(&self, failed: &FailedStep<'_>) -> Result<Outcome, StepError> {
        let argv = ["/bin/sh", "-c", self.command];
        // Where no terminal can be made the command runs without one.
        let Ok(Some(terminal)) = Terminal::open() else {
            return failed.run(&argv, Streams::Delivered);
        };
        let _held = self.screen.hold();
        // A terminal that is gone cannot be told so.
        let _ = writeln!(io::stderr(), "\nwhere it failed: {}", self.command);
        match terminal.lend(|streams| failed.run(&argv, streams)) {
            Ok(ended) => ended,
            Err(_) => failed.run(&argv, Streams::Delivered),
        }
    }
}
