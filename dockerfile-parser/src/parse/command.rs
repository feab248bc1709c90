//! CMD, ENTRYPOINT and SHELL, and the two forms of every command.

use crate::ast::Command;
use crate::diagnostic::Diagnostic;
use crate::exec_form::{self, Break, ExecForm};
use crate::lint::rule::INVALID_EXEC_FORM;
use crate::parse::Input;
use crate::words::Text;

/// Whether a text is in exec form.
pub(crate) fn is_exec_form(text: &str) -> bool {
    matches!(exec_form::read(text), Some(ExecForm::Strings(_) | ExecForm::NotStrings))
}

/// The strings of an exec form; `None` where the text is a shell form or a list of words.
pub(crate) fn strings(
    text: Text<'_>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Option<Vec<String>>, Diagnostic> {
    match exec_form::read(text.as_str()) {
        None => Ok(None),
        Some(ExecForm::Strings(words)) => Ok(Some(words)),
        Some(ExecForm::NotStrings) => {
            let message = "when using JSON array syntax, arrays must be comprised of strings only";
            Err(Diagnostic::error(text.whole().span, message)
                .help("put every element in double quotes"))
        }
        Some(ExecForm::Broken { at, why }) => {
            if exec_form::resembles_array(text.as_str()) {
                warnings.push(near_miss(text, at, why));
            }
            Ok(None)
        }
    }
}

fn near_miss(text: Text<'_>, at: usize, why: Break) -> Diagnostic {
    let end = text.as_str().len();
    let span = text.word(at.min(end), end).span;
    let cause = why.cause();
    let message = format!("this is taken as plain text, because it is not a JSON array: {cause}");
    Diagnostic::warning(INVALID_EXEC_FORM.name, span, message).help(why.remedy())
}

/// A command without flags.
pub(crate) fn command(input: &mut Input<'_>) -> Result<Command, Diagnostic> {
    input.no_flags()?;
    form(input.text, input.warnings)
}

/// The form of a command.
pub(crate) fn form(text: Text<'_>, warnings: &mut Vec<Diagnostic>) -> Result<Command, Diagnostic> {
    Ok(match strings(text, warnings)? {
        Some(words) => Command::Exec(words),
        None => Command::Shell(text.as_str().to_owned()),
    })
}

/// `SHELL ["program", "argument"]`
pub(crate) fn shell(input: &Input<'_>) -> Result<Vec<String>, Diagnostic> {
    input.no_flags()?;
    match strings(input.text, &mut Vec::new())? {
        Some(words) if !words.is_empty() => Ok(words),
        Some(_) => Err(input
            .error("SHELL requires at least one argument")
            .help("write SHELL [\"/bin/sh\", \"-c\"]")),
        None => Err(input
            .error("SHELL requires the arguments to be in JSON form")
            .help("write SHELL [\"/bin/sh\", \"-c\"]")),
    }
}
