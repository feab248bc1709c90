//! ARG, ENV and LABEL.

use crate::ast::{Arg, ArgItem, Escape, KeyValue, KeyValueForm, KeyValues, Word};
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

/// Whether the words of `ENV` or `LABEL` fall into names and values, whatever these are. No words do.
pub(crate) fn separable(keyword: &str, text: Text<'_>, escape: Escape) -> Result<(), Diagnostic> {
    let words = text.quoted_words(escape);
    match words.first() {
        None => Ok(()),
        Some(first) if !first.as_str().contains('=') => halves(keyword, text).map(drop),
        Some(_) => words.iter().try_for_each(|word| separated(word).map(drop)),
    }
}

fn pair(input: &Input<'_>, text: &Text<'_>) -> Result<KeyValue, Diagnostic> {
    let (key, value) = separated(text)?;
    if key.value.is_empty() {
        return Err(blank_name(input, text.whole().span));
    }
    Ok(KeyValue { key, value })
}

fn separated(text: &Text<'_>) -> Result<(Word, Word), Diagnostic> {
    text.cut().ok_or_else(|| {
        let word = text.whole();
        let message = format!(
            "Syntax error - can't find = in {:?}. Must be of the form: name=value",
            word.value
        );
        let help = if word.value.starts_with('#') {
            "a comment stands on a line of its own"
        } else {
            "put a value that holds blanks in double quotes"
        };
        Diagnostic::error(word.span, message).help(help)
    })
}

fn legacy(input: &Input<'_>) -> Result<KeyValues, Diagnostic> {
    let (key, value) = halves(input.keyword, input.text)?;
    Ok(KeyValues { form: KeyValueForm::Legacy, pairs: vec![KeyValue { key, value }] })
}

/// `name value`, where everything behind the first blank is the value.
fn halves(keyword: &str, text: Text<'_>) -> Result<(Word, Word), Diagnostic> {
    let Some(end) = text.as_str().find(is_blank) else {
        let message = format!("{keyword} must have two arguments");
        let name = text.as_str();
        return Err(Diagnostic::error(text.whole().span, message)
            .help(format!("write {keyword} {name}=value")));
    };
    let value = text.as_str()[end..].trim_start_matches(is_blank);
    let all = text.as_str().len();
    Ok((text.word(0, end), text.word(all - value.len(), all)))
}

fn blank_name(input: &Input<'_>, span: Span) -> Diagnostic {
    let message = format!("{} names can not be blank", input.keyword);
    Diagnostic::error(span, message).help("write a name before the =")
}
