//! Looking at what a failed step left, before it is gone.

use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use wythe_sandbox::error::StepCause;
use wythe_sandbox::step::{Changes, Devices, MountSource, Streams};
use wythe_sandbox::{Cancel, Outcome, Output, Step, StepError};

/// Whoever looks. The build waits, and then fails as it would have without.
pub trait Inspector: Sync {
    /// Called on the thread of the step, with all it had still there.
    ///
    /// # Errors
    ///
    /// Where it could not look; the build tells this as output of the step.
    fn inspect(&self, failed: &FailedStep<'_>) -> Result<Outcome, StepError>;
}

/// A step that failed: its files as it left them, its mounts, its variables, its user.
pub struct FailedStep<'a> {
    pub(crate) step: &'a Step,
    pub(crate) output: &'a dyn Output,
    pub(crate) cancel: &'a Cancel,
}

impl fmt::Debug for FailedStep<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FailedStep").field("step", self.step).finish_non_exhaustive()
    }
}

impl FailedStep<'_> {
    /// Runs a program there. What it prints is told as output of the step, secrets hidden, unless
    /// it has a terminal, which shows what it is given.
    ///
    /// # Errors
    ///
    /// As for any step: if it could not be started, or not be watched. A program that is missing or
    /// fails is an [`Outcome`].
    pub fn run(&self, argv: &[&str], streams: Streams) -> Result<Outcome, StepError> {
        let argv = argv.iter().map(|word| word.as_bytes().to_vec()).collect();
        let (changes, devices) = (Changes::Forgotten, Devices::Shown);
        let mut step = Step { argv, streams, changes, devices, ..self.step.clone() };
        let stacks = step.mounts.iter_mut().filter_map(|mount| match &mut mount.source {
            MountSource::Layers { scratch, .. } => scratch.as_mut(),
            MountSource::Bind { .. } | MountSource::Secret { .. } | MountSource::Tmpfs { .. } => {
                None
            }
        });
        for scratch in stacks.chain(step.root.scratch_mut()) {
            scratch.work = another(&scratch.work).map_err(|error| StepError {
                doing: "making a work directory".to_owned(),
                cause: StepCause::Io(error),
            })?;
        }
        wythe_sandbox::run(&step, self.output, self.cancel)
    }
}

/// A directory beside one that an overlay has used, which takes no second.
fn another(work: &Path) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        number += 1;
        let path = work.with_extension(number.to_string());
        match fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}
