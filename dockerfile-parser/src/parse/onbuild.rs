//! ONBUILD.

use crate::ast::{Escape, Onbuild, Word};
use crate::diagnostic::Diagnostic;
use crate::flag;
use crate::parse::{Input, command, key_value};
use crate::span::Spanned;
use crate::words::Text;

/// `ONBUILD instruction`: the trigger is kept as text and parsed when it fires.
pub(crate) fn onbuild(input: &Input<'_>) -> Result<Onbuild, Diagnostic> {
    let (flags, trigger) = flag::split(input.text);
    if trigger.is_empty() {
        return Err(input
            .error("ONBUILD requires at least one argument")
            .help("write ONBUILD RUN …"));
    }
    flags.check(&[], &[])?;
    let (keyword, arguments) = trigger.split_first();
    if let Some(error) = refused(&keyword) {
        return Err(error);
    }
    well_formed(&keyword, arguments, input.escape)?;
    // The blanks after it are part of what the image says, as BuildKit has it.
    let mut kept = input.text.with_blanks().to_owned();
    for heredoc in &input.heredocs {
        kept.push('\n');
        kept.push_str(&heredoc.body.value);
        kept.push_str(&heredoc.name);
    }
    Ok(Onbuild { trigger: Spanned::new(kept, input.text.whole().span) })
}

/// What BuildKit asks of the words of a trigger where it is written; what they mean is asked where it fires.
fn well_formed(keyword: &Word, arguments: Text<'_>, escape: Escape) -> Result<(), Diagnostic> {
    let name = keyword.value.to_ascii_uppercase();
    let (_, arguments) = flag::split(arguments);
    match name.as_str() {
        "ENV" | "LABEL" => key_value::separable(&name, arguments, escape),
        "ADD" | "CMD" | "COPY" | "ENTRYPOINT" | "RUN" | "SHELL" | "VOLUME" => exec_form(arguments),
        "HEALTHCHECK" => exec_form(arguments.split_first().1),
        _ => Ok(()),
    }
}

fn exec_form(text: Text<'_>) -> Result<(), Diagnostic> {
    command::strings(text, &mut Vec::new()).map(drop)
}

/// The error if an instruction cannot be a trigger.
pub(crate) fn refused(keyword: &Word) -> Option<Diagnostic> {
    let name = keyword.value.to_ascii_uppercase();
    match name.as_str() {
        "ONBUILD" => {
            let message = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
            Some(Diagnostic::error(keyword.span, message).help("remove one ONBUILD"))
        }
        "FROM" | "MAINTAINER" => {
            let message = format!("{name} isn't allowed as an ONBUILD trigger");
            Some(Diagnostic::error(keyword.span, message).help("write it without ONBUILD"))
        }
        _ => None,
    }
}
