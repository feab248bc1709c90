//! FROM.

use crate::ast::From;
use crate::diagnostic::Diagnostic;
use crate::parse::Input;

/// `FROM [--platform=P] image [AS name]`
pub(crate) fn from(mut input: Input<'_>) -> Result<From, Diagnostic> {
    input.flags.check(&["platform"], &[])?;
    let platform = input.flags.value("platform")?;
    let mut words = input.text.blank_separated().into_iter();
    let (image, as_keyword, name, more) = (words.next(), words.next(), words.next(), words.next());
    let Some(image) = image else { return Err(arity(&input)) };
    let (as_keyword, name) = match (as_keyword, name, more) {
        (None, ..) => (None, None),
        (Some(keyword), Some(name), None) if keyword.value.eq_ignore_ascii_case("as") => {
            (Some(keyword), Some(name))
        }
        _ => return Err(arity(&input)),
    };
    if let Some(name) = &name {
        check_name(name.value.as_str())
            .map_err(|help| invalid(name.value.as_str(), name.span).help(help))?;
    }
    Ok(From { platform, image, as_keyword, name })
}

fn arity(input: &Input<'_>) -> Diagnostic {
    let error = input.error("FROM requires either one or three arguments");
    if input.text.as_str().contains('#') {
        error.help("a comment stands on a line of its own")
    } else {
        error.help("write FROM image, or FROM image AS name")
    }
}

fn invalid(name: &str, span: crate::span::Span) -> Diagnostic {
    let message = format!(
        "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
    );
    Diagnostic::error(span, message)
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let lower = name.to_lowercase();
    let fine =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    if !lower.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err("begin the name with a letter");
    }
    if lower.bytes().all(fine) { Ok(()) } else { Err("use letters, digits, _, - and .") }
}
