//! What commands share: flags, environment, output, store, clock, cancellation.

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use crate::args::global::GlobalArgs;
use crate::failure::{Class, Failure};
use crate::settings::Settings;

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) global: GlobalArgs,
    pub(crate) settings: Settings,
}

impl Session {
    /// A session of this process.
    pub(crate) fn new(global: GlobalArgs) -> Self {
        Self { global, settings: Settings::of_process() }
    }

    /// Where the store is.
    pub(crate) fn store_path(&self) -> Result<PathBuf, Failure> {
        let path = self.global.store.clone().or_else(|| self.settings.store());
        let missing = || Failure::new(Class::Environment, "cannot tell where the store is");
        path.ok_or_else(|| missing().remedy("set HOME, or give --store DIR"))
    }

    /// Writes a line of the result.
    pub(crate) fn print(&self, line: &str) -> Result<(), Failure> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Writes the result, or a part of it, to standard output.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Who closed the pipe has read enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::of(Class::Environment, &error)),
        }
    }
}
