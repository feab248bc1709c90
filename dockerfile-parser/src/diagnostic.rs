//! What is wrong with a Dockerfile, where, and what to do about it.

mod render;

use crate::span::{LineIndex, Span};

pub use render::{excerpt, render};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The file means something, but perhaps not what was intended.
    Warning,
    /// The file cannot be built.
    Error,
}

/// One finding.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the build check that found it; `None` for errors of the language itself.
    pub rule: Option<&'static str>,
    /// The offending words.
    pub span: Span,
    /// One sentence of cause, without a final stop.
    pub message: String,
    /// One remedy.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(span: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, rule: None, span, message: message.into(), help: None }
    }

    /// A finding of a build check at a place.
    pub fn warning(rule: &'static str, span: Span, message: impl Into<String>) -> Self {
        let (severity, rule, message) = (Severity::Warning, Some(rule), message.into());
        Self { severity, rule, span, message, help: None }
    }

    /// The finding with a remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The finding with "did you mean" where a known word is near.
    #[must_use]
    pub fn suggest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.help(format!("did you mean {word}?")),
            None => self,
        }
    }

    /// The line the finding starts at, from 1.
    pub fn line(&self, source: &str) -> usize {
        LineIndex::new(source).line(self.span.start)
    }
}
