//! ONBUILD.

use crate::ast::{Onbuild, Word};
use crate::diagnostic::Diagnostic;
use crate::flag;
use crate::parse::Input;
use crate::span::Spanned;

/// `ONBUILD instruction`: the trigger is kept as text and parsed when it fires.
pub(crate) fn onbuild(input: &Input<'_>) -> Result<Onbuild, Diagnostic> {
    let (flags, command) = flag::split(input.text);
    if command.is_empty() {
        return Err(input
            .error("ONBUILD requires at least one argument")
            .help("write ONBUILD RUN …"));
    }
    flags.check(&[], &[])?;
    let (keyword, _) = command.split_first();
    if let Some(error) = refused(&keyword) {
        return Err(error);
    }
    // The blanks after it are part of what the image says, as BuildKit has it.
    let mut trigger = input.text.with_blanks().to_owned();
    for heredoc in &input.heredocs {
        trigger.push('\n');
        trigger.push_str(&heredoc.body.value);
        trigger.push_str(&heredoc.name);
    }
    Ok(Onbuild { trigger: Spanned::new(trigger, input.text.whole().span) })
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
