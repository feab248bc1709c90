//! ONBUILD.

use crate::ast::Onbuild;
use crate::diagnostic::Diagnostic;
use crate::parse::Input;
use crate::span::Spanned;

/// `ONBUILD instruction`: the trigger is kept as text and parsed when it fires.
pub(crate) fn onbuild(input: &Input<'_>) -> Result<Onbuild, Diagnostic> {
    if input.text.is_empty() {
        return Err(input
            .error("ONBUILD requires at least one argument")
            .help("write ONBUILD RUN …"));
    }
    let (keyword, _) = input.text.split_first();
    let name = keyword.value.to_ascii_uppercase();
    if name == "ONBUILD" {
        let message = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed";
        return Err(Diagnostic::error(keyword.span, message).help("remove one ONBUILD"));
    }
    if matches!(name.as_str(), "FROM" | "MAINTAINER") {
        let message = format!("{name} isn't allowed as an ONBUILD trigger");
        return Err(Diagnostic::error(keyword.span, message).help("write it without ONBUILD"));
    }
    let mut trigger = input.text.as_str().to_owned();
    for heredoc in &input.heredocs {
        trigger.push('\n');
        trigger.push_str(&heredoc.body.value);
        trigger.push_str(&heredoc.name);
    }
    Ok(Onbuild { trigger: Spanned::new(trigger, input.text.whole().span) })
}
