//! COPY and ADD.

use wythe_dockerfile::ast::{Add, Copy, Heredoc, HeredocExpansion, Source, Switch, Word};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::expand::expand_heredoc;
use wythe_dockerfile::lint::rule::EMPTY_COPY_SOURCE;
use wythe_dockerfile::span::Span;
use wythe_store::digest::{Digest, ParseDigestError};

use super::error::LowerError;
use super::expand;
use super::remote::{SourceKind, source_kind};
use super::source::Files;
use super::stage::{Lowering, Site};
use super::state::State;
use crate::copy::{CopyTarget, Layout};
use crate::graph::VertexId;
use crate::history::{self, CopyFlags};
use crate::operation::copy::{Archives, CopySource, CopyStep};
use crate::operation::{FileSource, Operation};
use crate::remote::repository::GitDirectory;
use crate::remote::repository::Repository;

/// What COPY and ADD have in common.
struct Transfer<'a> {
    keyword: &'static str,
    sources: &'a [Source],
    destination: &'a Word,
    chown: Option<&'a Word>,
    chmod: Option<&'a Word>,
    link: Switch,
    layout: Layout,
    excludes: &'a [Word],
    archives: Archives,
    git: Option<GitDirectory>,
    checksum: Option<&'a Word>,
}

impl Lowering<'_> {
    pub(crate) fn copy(
        &mut self,
        site: Site<'_>,
        copy: &Copy,
        state: &mut State,
    ) -> Result<(), LowerError> {
        let mut inputs = Vec::new();
        let from = match &copy.from {
            Some(word) => self.files_of(word, site, &mut inputs)?,
            None => main_context(),
        };
        let transfer = Transfer {
            keyword: "COPY",
            sources: &copy.sources,
            destination: &copy.destination,
            chown: copy.chown.as_ref(),
            chmod: copy.chmod.as_ref(),
            link: copy.link,
            layout: if copy.parents == Switch::On { Layout::Parents } else { Layout::Flat },
            excludes: &copy.excludes,
            archives: Archives::Keep,
            git: None,
            checksum: None,
        };
        self.transfer(site, &transfer, (from, inputs), state)
    }

    pub(crate) fn add(
        &mut self,
        site: Site<'_>,
        add: &Add,
        state: &mut State,
    ) -> Result<(), LowerError> {
        let archives = match add.unpack {
            Switch::Unset => Archives::UnpackLocal,
            Switch::On => Archives::Unpack,
            Switch::Off => Archives::Keep,
        };
        let git = match add.keep_git_dir {
            Switch::Unset => None,
            Switch::On => Some(GitDirectory::Keep),
            Switch::Off => Some(GitDirectory::Drop),
        };
        let transfer = Transfer {
            keyword: "ADD",
            sources: &add.sources,
            destination: &add.destination,
            chown: add.chown.as_ref(),
            chmod: add.chmod.as_ref(),
            link: add.link,
            layout: Layout::Flat,
            excludes: &add.excludes,
            archives,
            git,
            checksum: add.checksum.as_ref(),
        };
        self.transfer(site, &transfer, (main_context(), Vec::new()), state)
    }

    fn transfer(
        &mut self,
        site: Site<'_>,
        what: &Transfer<'_>,
        (from, inputs): (Files, Vec<VertexId>),
        state: &mut State,
    ) -> Result<(), LowerError> {
        let mut shown = Vec::new();
        let mut sources = Vec::new();
        // Heredocs come after the other sources, wherever they stand.
        let mut ordered: Vec<&Source> = what.sources.iter().collect();
        ordered.sort_by_key(|source| source.word().is_none());
        for source in ordered {
            let (text, source) = self.one_source(site, what, source, state)?;
            shown.push(text);
            sources.push(source);
        }
        let destination = expand::word(what.destination, self.escape, state)?;
        let chown = self.flag(what.chown, state)?;
        let chmod = self.flag(what.chmod, state)?;
        let checksum = self.checksum(what, &mut sources, state)?;
        let flags = CopyFlags { layout: what.layout, chown: chown.clone(), chmod: chmod.clone() };
        let created_by = history::copy(what.keyword, &flags, &shown, &destination);
        // An ordinary copy where the mode is changed: the observable behaviour people have.
        let linked = what.link == Switch::On && chmod.is_none();
        let step = CopyStep {
            from: from.source,
            from_name: from.name,
            sources,
            destination: state.absolute(&destination),
            chown,
            chmod,
            layout: what.layout,
            base: if linked { CopyTarget::Nothing } else { CopyTarget::Destination },
            excludes: what.excludes.iter().map(|word| word.value.clone()).collect(),
            archives: what.archives,
            checksum,
            epoch: self.epoch,
        };
        let vertex = self.vertex(site, Operation::Copy(Box::new(step)), state.top, inputs);
        state.layer(created_by, vertex);
        Ok(())
    }

    /// The value of a flag; an empty one is as good as absent.
    fn flag(&self, word: Option<&Word>, state: &State) -> Result<Option<String>, LowerError> {
        let value = word.map(|word| expand::word(word, self.escape, state)).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// A source as history shows it, and as the step knows it.
    fn one_source(
        &mut self,
        site: Site<'_>,
        what: &Transfer<'_>,
        source: &Source,
        state: &State,
    ) -> Result<(String, CopySource), LowerError> {
        let word = match source {
            Source::Heredoc(heredoc) => {
                let span = site.trigger.unwrap_or(heredoc.word.span);
                return Ok((format!("<<{}", heredoc.name), heredoc_file(heredoc, span, state)?));
            }
            Source::Word(word) => word,
        };
        let text = expand::word(word, self.escape, state)?;
        let span = site.trigger.unwrap_or(word.span);
        if text.is_empty() {
            self.warnings.push(empty_source(word, span));
        }
        let source = match (source_kind(&text), what.keyword) {
            (SourceKind::Path, _) => CopySource::Path(text.clone()),
            (kind, "COPY") => return Err(not_for_copy(kind, span)),
            (SourceKind::Url, _) => CopySource::Url(text.clone()),
            (SourceKind::Git, _) => CopySource::Git(repository(&text, what.git, span)?),
        };
        Ok((text, source))
    }

    fn checksum(
        &self,
        what: &Transfer<'_>,
        sources: &mut [CopySource],
        state: &State,
    ) -> Result<Option<String>, LowerError> {
        let Some(word) = what.checksum else { return Ok(None) };
        let Some(text) = self.flag(Some(word), state)? else { return Ok(None) };
        let fail = |message: &str, help: &str| Err(LowerError::at(word.span, message).help(help));
        match sources {
            [CopySource::Url(_)] => match text.parse::<Digest>() {
                Ok(_) => Ok(Some(text)),
                Err(ParseDigestError::Algorithm) => fail(
                    &format!("unsupported digest algorithm in the checksum {text:?}"),
                    "write --checksum=sha256: and 64 hex digits",
                ),
                Err(error) => fail(
                    &format!("invalid checksum {text:?}: {error}"),
                    "write 64 hex digits after sha256:",
                ),
            },
            [CopySource::Git(repository)] => match repository.sum(&text) {
                Ok(()) => Ok(Some(text)),
                Err(error) => fail(&error.to_string(), "write the commit in hexadecimal digits"),
            },
            [_] => fail("checksum requires HTTP(S) or Git sources", "remove --checksum"),
            _ => fail(
                "checksum can't be specified for multiple sources",
                "write one ADD for each source",
            ),
        }
    }
}

fn main_context() -> Files {
    Files { source: FileSource::Context, name: "the build context".to_owned() }
}

fn heredoc_file(heredoc: &Heredoc, span: Span, state: &State) -> Result<CopySource, LowerError> {
    let name = heredoc.name.clone();
    if name.contains('/') {
        let message =
            format!("the heredoc name {name:?} becomes a file name and cannot hold a slash");
        return Err(LowerError::at(span, message).help("name the directory in the destination"));
    }
    let body = match heredoc.expansion {
        HeredocExpansion::Literal => heredoc.text(),
        HeredocExpansion::Expand => {
            expand_heredoc(&heredoc.text(), state)
                .map_err(|error| LowerError::expansion(span, &error))?
                .value
        }
    };
    Ok(CopySource::Heredoc { name, body })
}

fn repository(
    text: &str,
    directory: Option<GitDirectory>,
    span: Span,
) -> Result<Box<Repository>, LowerError> {
    let parsed = Repository::parse(text).and_then(|mut repository| {
        directory.map_or(Ok(()), |directory| repository.keep(directory))?;
        Ok(repository)
    });
    parsed.map(Box::new).map_err(|error| {
        LowerError::at(span, error.to_string()).help(
            "known are #ref:directory, ?ref= branch= tag= subdir= checksum= and keep-git-dir=",
        )
    })
}

fn not_for_copy(kind: SourceKind, span: Span) -> LowerError {
    let what = if kind == SourceKind::Git { "git ref" } else { "URL" };
    LowerError::at(span, format!("source can't be a {what} for COPY")).help("use ADD")
}

fn empty_source(word: &Word, span: Span) -> Diagnostic {
    let message = format!("{} is empty here, so everything is copied", word.value);
    Diagnostic::warning(EMPTY_COPY_SOURCE.name, span, message)
        .help("give the variable a value, or write . to mean everything")
}
