//! Errors of a build as failures: the instruction, its last lines, its place in the Dockerfile.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new in the builder has the common class until somebody thinks about it"
)]

use wythe_builder::context::error::{ContextCause, ContextError};
use wythe_builder::error::{BuildCause, BuildError, StepFailure};
use wythe_builder::ignore::RuleError;
use wythe_builder::lower::{LowerCause, LowerError};
use wythe_builder::remote::RemoteProblem;
use wythe_builder::remote::program::GitError;
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::span::Span;
use wythe_store::error::WriteError;

use super::{Class, Failure, sandbox};
use crate::render::quantity::Elapsed;
use crate::render::sanitize::{self, Medium};
use crate::render::source::SourceFile;

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let failure = match &error.cause {
            BuildCause::Lower(LowerError { cause: LowerCause::Base(source, _), .. }) => {
                Self::of_source(source, &error)
            }
            cause => Self::of(class(cause), &error),
        };
        let output = match &error.cause {
            BuildCause::Step(step) => tail(error.step.as_deref(), step),
            _ => Vec::new(),
        };
        if let BuildCause::Context(ContextError { cause: ContextCause::Ignore(bad), .. }) =
            &error.cause
        {
            let (source, finding) = in_ignore_file(bad, error.remedy());
            return failure.pointing(&source, &finding);
        }
        let findings = error.findings();
        // A finding has its remedy with it.
        let remedy = error.remedy().filter(|_| findings.is_empty());
        let (name, text) = (error.place.file.clone(), error.place.source.to_string());
        let source = SourceFile { name, text };
        let failure = failure.exhibit(output);
        let failure = match findings.as_slice() {
            [finding] if is_told_below(&error.cause) => failure.pointing(&source, finding),
            findings => failure.findings(&source, findings),
        };
        failure.advised(remedy)
    }
}

/// Whether the message is long, and the whole of what is told at the end: what somebody else
/// answered, or a command that failed.
fn is_told_below(cause: &BuildCause) -> bool {
    matches!(
        cause,
        BuildCause::Lower(LowerError { cause: LowerCause::Base(..), .. })
            | BuildCause::Remote(_)
            | BuildCause::Step(_)
    )
}

fn class(cause: &BuildCause) -> Class {
    match cause {
        BuildCause::Step(_) => Class::Step,
        BuildCause::Cancelled => Class::Cancelled,
        BuildCause::Save(_) => Class::Network,
        BuildCause::Write(WriteError::Tree(_)) => Class::Usage,
        BuildCause::Remote(error) => remote(&error.problem),
        BuildCause::Sandbox(error) => sandbox::class(error),
        BuildCause::Emulation(_)
        | BuildCause::Directory(_)
        | BuildCause::Materialise(_)
        | BuildCause::Seal(_)
        | BuildCause::Write(_) => Class::Environment,
        BuildCause::Gather(_)
        | BuildCause::Import(_)
        | BuildCause::Read(_)
        | BuildCause::Tar(_) => Class::Damage,
        BuildCause::Assemble(_) => Class::Internal,
        _ => Class::Usage,
    }
}

fn remote(problem: &RemoteProblem) -> Class {
    match problem {
        RemoteProblem::Status(_)
        | RemoteProblem::Network { .. }
        | RemoteProblem::Git(GitError::Failed { .. }) => Class::Network,
        RemoteProblem::Read(_) => Class::Damage,
        RemoteProblem::Write(_) | RemoteProblem::NoGit | RemoteProblem::Git(GitError::Run(_)) => {
            Class::Environment
        }
        RemoteProblem::Cancelled | RemoteProblem::Git(GitError::Cancelled) => Class::Cancelled,
        _ => Class::Usage,
    }
}

/// A bad line of an ignore file at its place; of the file no more is known than the line.
fn in_ignore_file(bad: &RuleError, remedy: Option<String>) -> (SourceFile, Diagnostic) {
    let above = "\n".repeat(bad.line.saturating_sub(1) as usize);
    let span = Span::new(above.len(), above.len() + bad.pattern.len());
    let source = SourceFile { name: bad.file.clone(), text: above + &bad.pattern };
    (source, Diagnostic { help: remedy, ..Diagnostic::error(span, bad.to_string()) })
}

/// The last lines of a step.
fn tail(name: Option<&str>, step: &StepFailure) -> Vec<String> {
    let clean = |text: &str| sanitize::line(text.as_bytes(), Medium::Log);
    let head = format!("--- {} (after {})", clean(name.unwrap_or("step")), Elapsed(step.elapsed));
    // Runners of CI systems take lines for commands whatever blanks they begin with.
    let output = step.output.iter().map(|line| format!("  | {}", clean(line)));
    std::iter::once(head).chain(output).collect()
}
