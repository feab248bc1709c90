//! ARG, ENV and LABEL.

use crate::ast::{Arg, ArgItem, KeyValue, KeyValueForm, KeyValues};
use crate::diagnostic::Diagnostic;
use crate::parse::Input;
use crate::span::Span;
use crate::words::{Text, is_blank};

/// `ARG name[=default] …`
pub(crate) fn arg(input: &Input<'_>) -> Result<Arg, Diagnostic> {
    input.no_flags()?;
    let words = input.text.quoted_words(input.escape);
    if words.is_empty() {
        return Err(input
            .error("ARG requires at least one argument")
            .help("write ARG name=default"));
    }
    let items = words.into_iter().map(|word| match word.cut() {
        Some((name, _)) if name.value.is_empty() => Err(blank_name(input, name.span)),
        Some((name, default)) => Ok(ArgItem { name, default: Some(default) }),
        None => Ok(ArgItem { name: word.whole(), default: None }),
    });
    Ok(Arg { items: items.collect::<Result<_, _>>()? })
}

/// `ENV` and `LABEL`
pub(crate) fn pairs(input: &Input<'_>) -> Result<KeyValues, Diagnostic> {
    input.no_flags()?;
    let words = input.text.quoted_words(input.escape);
    let Some(first) = words.first() else {
        let error = input.error(format!("{} requires at least one argument", input.keyword));
        return Err(error.help(format!("write {} name=value", input.keyword)));
    };
    if !first.as_str().contains('=') {
        return legacy(input);
    }
    let pairs = words.iter().map(|word| pair(input, word)).collect::<Result<_, _>>()?;
    Ok(KeyValues { form: KeyValueForm::Equals, pairs })
}

fn pair(input: &Input<'_>, text: &Text<'_>) -> Result<KeyValue, Diagnostic> {
    let word = text.whole();
    let Some((key, value)) = text.cut() else {
        let message = format!(
            "Syntax error - can't find = in {:?}. Must be of the form: name=value",
            word.value
        );
        let help = if word.value.starts_with('#') {
            "a comment stands on a line of its own"
        } else {
            "put a value that holds blanks in double quotes"
        };
        return Err(Diagnostic::error(word.span, message).help(help));
    };
    if key.value.is_empty() {
        return Err(blank_name(input, word.span));
    }
    Ok(KeyValue { key, value })
}

fn legacy(input: &Input<'_>) -> Result<KeyValues, Diagnostic> {
    let text = input.text.as_str();
    let Some(end) = text.find(is_blank) else {
        let message = format!("{} must have two arguments", input.keyword);
        return Err(input.error(message).help(format!("write {} {text}=value", input.keyword)));
    };
    let key = input.text.word(0, end);
    let value = input.text.from(end).whole();
    Ok(KeyValues { form: KeyValueForm::Legacy, pairs: vec![KeyValue { key, value }] })
}

fn blank_name(input: &Input<'_>, span: Span) -> Diagnostic {
    let message = format!("{} names can not be blank", input.keyword);
    Diagnostic::error(span, message).help("write a name before the =")
}
