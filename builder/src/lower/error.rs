//! Why a Dockerfile cannot become a graph.

use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::expand::ExpandError;
use wythe_dockerfile::span::Span;
use wythe_store::oci::source::SourceError;

/// A Dockerfile that cannot become a graph.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct LowerError {
    /// The offending words; `None` where the fault is not in the Dockerfile.
    pub span: Option<Span>,
    /// What is wrong.
    pub cause: LowerCause,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum LowerCause {
    /// A base image cannot be had.
    Base(Box<SourceError>, Option<String>),
    /// The Dockerfile, an option or a build argument.
    Input(Diagnostic),
}

impl LowerError {
    /// An error at a place.
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Diagnostic::error(span, message).into()
    }

    /// A word at a place that cannot be expanded.
    pub(crate) fn expansion(span: Span, error: &ExpandError) -> Self {
        Self::at(span, error.to_string()).help(error.cause.remedy())
    }

    /// An error that is not in the Dockerfile.
    pub(crate) fn nowhere(message: impl Into<String>) -> Self {
        Self { span: None, cause: LowerCause::Input(Diagnostic::error(Span::default(), message)) }
    }

    /// The error with a remedy.
    #[must_use]
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        let help = help.into();
        let cause = match self.cause {
            LowerCause::Base(error, _) => LowerCause::Base(error, Some(help)),
            LowerCause::Input(finding) => LowerCause::Input(finding.help(help)),
        };
        Self { cause, ..self }
    }

    /// The error with "did you mean", where a near name is known.
    #[must_use]
    pub(crate) fn suggest(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.help(format!("did you mean {word}?")),
            None => self,
        }
    }

    /// A base image that cannot be had.
    pub(crate) fn base(span: Span, error: SourceError) -> Self {
        Self { span: Some(span), cause: LowerCause::Base(Box::new(error), None) }
    }

    /// One sentence of what is wrong.
    pub fn message(&self) -> String {
        match &self.cause {
            LowerCause::Base(error, _) => error.to_string(),
            LowerCause::Input(finding) => finding.message.clone(),
        }
    }

    /// The error as a finding of the Dockerfile.
    pub fn finding(&self) -> Diagnostic {
        match &self.cause {
            LowerCause::Input(finding) => finding.clone(),
            LowerCause::Base(error, help) => {
                let span = self.span.unwrap_or_default();
                let finding = Diagnostic::error(span, error.to_string());
                match help {
                    Some(help) => finding.help(help.clone()),
                    None => finding,
                }
            }
        }
    }
}

impl From<Diagnostic> for LowerError {
    fn from(finding: Diagnostic) -> Self {
        Self { span: Some(finding.span), cause: LowerCause::Input(finding) }
    }
}
