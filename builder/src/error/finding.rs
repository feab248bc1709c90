//! Where in the Dockerfile a failure belongs: the very words, and one remedy.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new is about its whole instruction until somebody thinks about it"
)]

use wythe_dockerfile::ast::{Instruction, InstructionKind, Run, Source, Word};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::line::SAVE_AS_UTF8;
use wythe_dockerfile::parse::parse;
use wythe_dockerfile::pattern::PatternCause;
use wythe_dockerfile::span::Span;
use wythe_sandbox::Outcome;

use super::{BuildCause, BuildError, MountError, SourceLocation};
use crate::context::error::ContextCause;
use crate::copy::error::{CopyCause, CopyError, Missing};
use crate::remote::RemoteProblem;
use crate::user::AccountCause;

/// What helps where a pattern cannot be read.
const PATTERN_REMEDY: &str =
    "close the bracket, begin its ranges with the lower end, or write \\[ for a bracket itself";

impl BuildError {
    /// The findings in the Dockerfile, for those that show them under its lines.
    pub fn findings(&self) -> Vec<Diagnostic> {
        match (&self.cause, self.place.span) {
            (BuildCause::Syntax(findings) | BuildCause::Violation { findings, .. }, _) => {
                findings.clone()
            }
            // Nothing is wrong with what was being done.
            (BuildCause::Cancelled, _) => Vec::new(),
            (BuildCause::Lower(error), _) if error.span.is_some() => vec![error.finding()],
            (cause, Some(span)) => {
                let words = instruction(&self.place, span).and_then(|one| words(cause, &one));
                let finding = Diagnostic::error(words.unwrap_or(span), cause.to_string());
                vec![Diagnostic { help: remedy(cause), ..finding }]
            }
            (_, None) => Vec::new(),
        }
    }

    /// What helps, where no finding tells it.
    pub fn remedy(&self) -> Option<String> {
        match &self.cause {
            BuildCause::Lower(error) => error.finding().help,
            cause => remedy(cause),
        }
    }
}

/// The instruction at a place; a trigger is at that of the `FROM` that fires it.
fn instruction(place: &SourceLocation, span: Span) -> Option<Instruction> {
    let instructions = parse(&place.source).dockerfile.instructions;
    instructions.into_iter().find(|instruction| instruction.span == span)
}

/// The words of an instruction that a failure is about.
fn words(cause: &BuildCause, instruction: &Instruction) -> Option<Span> {
    let (sources, destination, chown, chmod) = match &instruction.kind {
        InstructionKind::Copy(copy) => (&copy.sources, &copy.destination, &copy.chown, &copy.chmod),
        InstructionKind::Add(add) => (&add.sources, &add.destination, &add.chown, &add.chmod),
        InstructionKind::Run(run) => return mount(cause, run),
        _ => return None,
    };
    let word = match cause {
        BuildCause::Account(_) => chown.as_ref(),
        BuildCause::Mode(_) => chmod.as_ref(),
        BuildCause::Copy(CopyError {
            cause: CopyCause::DirectoryOntoFile { .. } | CopyCause::FileOntoDirectory { .. },
            ..
        }) => Some(destination),
        BuildCause::Copy(error) => source(sources, &error.subject),
        BuildCause::Remote(error) => source(sources, &error.url),
        BuildCause::Add(_) => source(sources, ""),
        _ => None,
    };
    word.map(|word| word.span)
}

/// The source that is written like this; where there is but one, it is meant.
fn source<'a>(sources: &'a [Source], text: &str) -> Option<&'a Word> {
    let words = || sources.iter().filter_map(Source::word);
    let only = || words().next().filter(|_| words().nth(1).is_none());
    words().find(|word| word.value == text).or_else(only)
}

/// The mount that cannot be made.
fn mount(cause: &BuildCause, run: &Run) -> Option<Span> {
    let part = match cause {
        BuildCause::Mount(MountError::Secret { id }) => id,
        BuildCause::Mount(MountError::Ssh { .. } | MountError::Agent { .. }) => "type=ssh",
        BuildCause::Mount(MountError::Source(missing)) => missing.path.trim_start_matches('/'),
        _ => return None,
    };
    let named = |word: &&Word| word.value.contains(part);
    run.mounts.iter().find(named).map(|word| word.span)
}

/// What helps against a failure, in one sentence.
fn remedy(cause: &BuildCause) -> Option<String> {
    match cause {
        BuildCause::Account(error) => account(error.cause).map(str::to_owned),
        BuildCause::Context(error) => context(&error.cause).map(str::to_owned),
        BuildCause::Copy(error) => copy(error),
        BuildCause::Workdir { .. } => {
            Some("choose another path: this one leads through a file".into())
        }
        BuildCause::Mount(MountError::Secret { id }) => {
            Some(format!("give it with --secret id={id},src=FILE"))
        }
        BuildCause::Mount(MountError::Source(missing)) => Some(found_instead(missing)),
        BuildCause::Mount(MountError::Ssh { id }) => Some(format!("give it with --ssh {id}")),
        BuildCause::Mark { .. } => {
            Some("rename the file, or leave it out with --exclude".to_owned())
        }
        BuildCause::Remote(error) => remote(&error.problem),
        BuildCause::Sandbox(error) => error.cause.remedy().map(str::to_owned),
        BuildCause::Step(error) => step(error.outcome).map(str::to_owned),
        _ => None,
    }
}

fn context(cause: &ContextCause) -> Option<&'static str> {
    match cause {
        ContextCause::Device => Some("name it in .dockerignore"),
        ContextCause::Changed | ContextCause::Changing => {
            Some("build when nothing writes to it, or name it in .dockerignore")
        }
        ContextCause::Ignore(bad) if bad.cause == PatternCause::Wide => Some(SAVE_AS_UTF8),
        ContextCause::Ignore(bad) if bad.pattern.starts_with('!') => {
            Some("write what is to be kept after the !, or remove the line")
        }
        ContextCause::Ignore(bad) if bad.pattern.ends_with('\\') => {
            Some("write \\\\ for a backslash itself")
        }
        ContextCause::Ignore(_) => Some(PATTERN_REMEDY),
        _ => None,
    }
}

fn account(cause: AccountCause) -> Option<&'static str> {
    match cause {
        AccountCause::NoFile => Some("use numbers, as in 1000:1000"),
        AccountCause::Unknown => Some("create it in an earlier step, or use its number"),
        AccountCause::Range => Some("use a smaller number"),
        AccountCause::Signed => Some("write the digits alone"),
        _ => None,
    }
}

fn copy(error: &CopyError) -> Option<String> {
    match &error.cause {
        CopyCause::Missing(missing)
            if missing.nearest.is_empty() && error.subject.split('/').any(|part| part == "..") =>
        {
            Some(
                "no source lies above its top directory: give what does with --build-context"
                    .into(),
            )
        }
        CopyCause::Missing(missing) => Some(found_instead(missing)),
        CopyCause::Exclude(_) | CopyCause::Pattern => Some(PATTERN_REMEDY.into()),
        CopyCause::FileOntoDirectory { .. } => {
            Some("end the destination with / to copy into the directory".into())
        }
        CopyCause::DirectoryOntoFile { .. } => {
            Some("choose another destination, or remove the file in an earlier step".into())
        }
        _ => None,
    }
}

fn found_instead(missing: &Missing) -> String {
    if missing.ignored.is_some() {
        let path = missing.path.trim_start_matches('/');
        return format!("remove that line, or write {:?} below it", format!("!{path}"));
    }
    match missing.nearest.as_slice() {
        [] => "write a path that is there, seen from its top directory".to_owned(),
        [one] => format!("did you mean {one:?}?"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("{name:?}")).collect();
            format!("did you mean {} or {last:?}?", first.join(", "))
        }
    }
}

fn remote(problem: &RemoteProblem) -> Option<String> {
    let text = match problem {
        RemoteProblem::Status(401 | 403) => {
            "if it needs a token, give it with --secret id=HTTP_AUTH_TOKEN_<host>,env=NAME"
        }
        RemoteProblem::Status(429) => {
            "the server limits how often it is asked: wait, and try again"
        }
        RemoteProblem::Status(500..) => {
            "the server, or a proxy in front of it, has failed: try again later"
        }
        RemoteProblem::Status(404) | RemoteProblem::Network { .. } => "check the address",
        RemoteProblem::Checksum { found, .. } => {
            return Some(format!("if this is what you want, write --checksum={found}"));
        }
        RemoteProblem::Reference(_) => "check the name of the branch or tag",
        _ => return None,
    };
    Some(text.to_owned())
}

fn step(outcome: Outcome) -> Option<&'static str> {
    let help = match outcome {
        Outcome::Exited(126) => {
            "126 says that the command is there and cannot be executed: see its mode and format"
        }
        Outcome::Exited(127) => {
            "127 says that a command was not found: see its spelling and PATH, or install it before"
        }
        Outcome::Exited(137) => {
            "137 says that a process was killed by signal 9, possibly for want of memory"
        }
        Outcome::Exited(139) => "139 says that a process crashed with a segmentation fault",
        Outcome::OutOfMemory(_) => "give it more with --memory, or let it do less at once",
        Outcome::TimedOut => "give it more with --timeout",
        Outcome::Exited(_) | Outcome::Signaled(_) => {
            "to repeat this step alone, run the same command again: what is before it is cached"
        }
        Outcome::Cancelled | Outcome::MadeDevice => return None,
    };
    Some(help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::StepFailure;

    #[track_caller]
    fn check(source: &str, cause: impl Into<BuildCause>, words: &str, help: &str) {
        let last = parse(source).dockerfile.instructions.pop().unwrap();
        let place =
            SourceLocation { file: String::new(), source: source.into(), span: Some(last.span) };
        let error = BuildError { place, step: None, cause: cause.into() };
        let finding = error.findings().pop().unwrap();
        assert_eq!(&source[finding.span.range()], words);
        assert_eq!(finding.help.as_deref(), Some(help));
    }

    fn missing(subject: &str, missing: Missing) -> CopyError {
        CopyError { subject: subject.to_owned(), cause: CopyCause::Missing(Box::new(missing)) }
    }

    #[test]
    fn a_missing_source_is_the_word_and_near_names_help() {
        let nearest = ["/a", "/b", "/c"].map(str::to_owned).to_vec();
        let error = missing("x", Missing { nearest, ..Missing::default() });
        check("FROM a\nCOPY f x /o/\n", error, "x", "did you mean \"/a\", \"/b\" or \"/c\"?");
        let error = missing("y", Missing::default());
        let help = "write a path that is there, seen from its top directory";
        check("FROM a\nCOPY $x /o/\n", error, "$x", help);
        let missing = Missing { path: "/y".to_owned(), ..Missing::default() };
        let error = MountError::Source(Box::new(missing));
        check("FROM a\nRUN --mount=target=/t,source=y true\n", error, "target=/t,source=y", help);
    }

    #[test]
    fn a_source_above_the_context_is_told_where_to_go() {
        let help = "no source lies above its top directory: give what does with --build-context";
        check("FROM a\nCOPY ../lib /o/\n", missing("../lib", Missing::default()), "../lib", help);
    }

    #[test]
    fn what_cannot_take_a_source_is_the_destination() {
        let cause = CopyCause::FileOntoDirectory { path: "/o".to_owned() };
        let error = CopyError { subject: "/o".to_owned(), cause };
        check(
            "FROM a\nADD f /o\n",
            error,
            "/o",
            "end the destination with / to copy into the directory",
        );
    }

    #[test]
    fn a_mount_is_pointed_at_by_what_it_lacks() {
        check(
            "FROM a\nRUN --mount=target=/t --mount=type=secret,id=tok true\n",
            MountError::Secret { id: "tok".to_owned() },
            "type=secret,id=tok",
            "give it with --secret id=tok,src=FILE",
        );
    }

    #[test]
    fn exit_codes_with_a_meaning_are_explained() {
        let step = |outcome| StepFailure {
            command: "make".to_owned(),
            outcome,
            output: Vec::new(),
            elapsed: std::time::Duration::ZERO,
            full: None,
        };
        let source = "FROM a\nRUN make\n";
        let again =
            "to repeat this step alone, run the same command again: what is before it is cached";
        check(source, step(Outcome::Exited(2)), "RUN make", again);
        let memory = "137 says that a process was killed by signal 9, possibly for want of memory";
        check(source, step(Outcome::Exited(137)), "RUN make", memory);
    }
}
