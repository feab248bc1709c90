//! `wythe completion`, and what its scripts call.

use clap_complete::Shell;

use crate::args::Cli;
use crate::args::store::{CompleteWordsArgs, CompletionArgs};
use crate::completion;
use crate::failure::Failure;
use crate::session::Session;

/// Prints the completion script of a shell. Of those without one of ours, it knows commands and flags alone.
pub(crate) fn run(args: &CompletionArgs, session: &Session) -> Result<(), Failure> {
    if let Some(script) = completion::script(args.shell) {
        return session.write(script.as_bytes());
    }
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "wythe", &mut script);
    session.write(&script)
}

/// Prints what may stand in place of the last word, a line for each: the word and, where the shell shows that, what
/// is said of it.
pub(crate) fn answer(args: &CompleteWordsArgs, session: &Session) -> Result<(), Failure> {
    let found = completion::candidates(&Cli::definition(), &args.words, &session.settings);
    let is_plain = args.shell == Shell::Bash;
    found.iter().try_for_each(|candidate| {
        if is_plain || candidate.help.is_empty() {
            session.print(&candidate.word)
        } else {
            session.print(&format!("{}\t{}", candidate.word, candidate.help))
        }
    })
}
