//! EXPOSE and VOLUME.

use crate::ast::{Word, Words};
use crate::diagnostic::Diagnostic;
use crate::parse::{Input, command};
use crate::span::Spanned;

/// `EXPOSE port…`
pub(crate) fn expose(input: &Input<'_>) -> Result<Words, Diagnostic> {
    input.no_flags()?;
    let words = input.text.blank_separated();
    if words.is_empty() {
        return Err(input.error("EXPOSE requires at least one argument").help("write EXPOSE 8080"));
    }
    Ok(Words { words })
}

/// `VOLUME path…`
pub(crate) fn volume(input: &Input<'_>) -> Result<Words, Diagnostic> {
    input.no_flags()?;
    let words = words(input)?;
    if words.is_empty() {
        return Err(input
            .error("VOLUME requires at least one argument")
            .help("write VOLUME /data"));
    }
    Ok(Words { words })
}

fn words(input: &Input<'_>) -> Result<Vec<Word>, Diagnostic> {
    let span = input.text.whole().span;
    let strings = command::strings(input.text, &mut Vec::new())?;
    Ok(match strings {
        Some(strings) => strings.into_iter().map(|text| Spanned::new(text, span)).collect(),
        None => input.text.blank_separated(),
    })
}
