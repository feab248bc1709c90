//! `wythe completion`.

use crate::args::Cli;
use crate::args::store::CompletionArgs;
use crate::failure::Failure;
use crate::session::Session;

/// Prints the completion script of a shell.
pub(crate) fn run(args: &CompletionArgs, session: &Session) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "wythe", &mut script);
    session.write(&script)
}
