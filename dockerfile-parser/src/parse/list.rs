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
pub(crate) fn volume(input: &mut Input<'_>) -> Result<Words, Diagnostic> {
    input.no_flags()?;
    let span = input.text.whole().span;
    let words: Vec<Word> = match command::strings(input.text, input.warnings)? {
        Some(strings) => {
            strings.iter().map(|text| Spanned::new(text.trim().to_owned(), span)).collect()
        }
        None => input.text.blank_separated(),
    };
    let (error, help) = if words.is_empty() {
        ("VOLUME requires at least one argument", "write VOLUME /data")
    } else if words.iter().any(|word| word.value.is_empty()) {
        ("VOLUME specified can not be an empty string", "name a directory, as VOLUME /data")
    } else {
        return Ok(Words { words });
    };
    Err(input.error(error).help(help))
}
