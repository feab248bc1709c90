//! COPY and ADD.

use crate::ast::{Add, Copy, Heredoc, Source, Word};
use crate::diagnostic::Diagnostic;
use crate::parse::{Input, command};
use crate::span::Spanned;

const COPY_FLAGS: [&str; 6] = ["from", "chown", "chmod", "link", "parents", "exclude"];
const ADD_FLAGS: [&str; 7] =
    ["chown", "chmod", "link", "keep-git-dir", "checksum", "unpack", "exclude"];

/// `COPY [flags] source… destination`
pub(crate) fn copy(mut input: Input<'_>) -> Result<Copy, Diagnostic> {
    input.flags.check(&COPY_FLAGS, &["exclude"])?;
    let (sources, destination) = arguments(&mut input)?;
    let flags = &mut input.flags;
    Ok(Copy {
        // `--from=` with nothing behind it is the context, as without the flag.
        from: flags.value("from")?.filter(|from| !from.value.is_empty()),
        chown: flags.value("chown")?,
        chmod: flags.value("chmod")?,
        link: flags.switch("link")?,
        parents: flags.switch("parents")?,
        excludes: flags.values("exclude")?,
        sources,
        destination,
    })
}

/// `ADD [flags] source… destination`
pub(crate) fn add(mut input: Input<'_>) -> Result<Add, Diagnostic> {
    input.flags.check(&ADD_FLAGS, &["exclude"])?;
    let (sources, destination) = arguments(&mut input)?;
    let flags = &mut input.flags;
    Ok(Add {
        chown: flags.value("chown")?,
        chmod: flags.value("chmod")?,
        link: flags.switch("link")?,
        keep_git_dir: flags.switch("keep-git-dir")?,
        checksum: flags.value("checksum")?,
        unpack: flags.switch("unpack")?,
        excludes: flags.values("exclude")?,
        sources,
        destination,
    })
}

fn arguments(input: &mut Input<'_>) -> Result<(Vec<Source>, Word), Diagnostic> {
    let span = input.text.whole().span;
    let mut words = match command::strings(input.text, input.warnings)? {
        Some(strings) => {
            strings.into_iter().map(|text| Source::Word(Spanned::new(text, span))).collect()
        }
        None => sources(input),
    };
    let keyword = input.keyword;
    match words.pop() {
        Some(Source::Heredoc(heredoc)) => {
            let message = format!("{keyword} cannot accept a heredoc as a destination");
            Err(Diagnostic::error(heredoc.word.span, message).help("name the destination last"))
        }
        Some(Source::Word(destination)) if !words.is_empty() => Ok((words, destination)),
        found => Err(too_few(input, if found.is_some() { "only one was" } else { "none were" })),
    }
}

fn too_few(input: &Input<'_>, provided: &str) -> Diagnostic {
    let keyword = input.keyword;
    let message = format!(
        "{keyword} requires at least two arguments, but {provided} provided. Destination could not be determined"
    );
    input.error(message).help(format!("write {keyword} source destination"))
}

/// The words of the line, with those that start a heredoc replaced by it.
fn sources(input: &mut Input<'_>) -> Vec<Source> {
    let mut heredocs: Vec<Heredoc> = std::mem::take(&mut input.heredocs);
    heredocs.reverse();
    let mut sources = Vec::new();
    for word in input.text.blank_separated() {
        let inside = |heredoc: &Heredoc| {
            heredoc.word.span.start <= word.span.start && word.span.end <= heredoc.word.span.end
        };
        if heredocs.last().is_some_and(inside) {
            let ends = heredocs.last().is_some_and(|last| last.word.span.end == word.span.end);
            if ends {
                sources.extend(heredocs.pop().map(Source::Heredoc));
            }
        } else {
            sources.push(Source::Word(word));
        }
    }
    sources
}
