//! Why a command failed: what is printed, and the exit code.

mod aws;
mod build;
pub(crate) mod code;
mod delivery;
mod registry;
mod sandbox;
mod store;

use std::error::Error;
use std::io;
use std::process::ExitCode;

use serde_json::{Value, json};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_store::blob::ChangedBlob;

use self::code::ErrorCode;
use crate::args::global::ProgressForm;
use crate::render::ci::CiSystem;
use crate::render::json;
use crate::render::sanitize::{self, Medium};
use crate::render::source::SourceFile;

/// What kind of failure it is; the numbers are part of the command line's contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    /// A build step failed.
    Step = 1,
    /// The command line, the Dockerfile or the context is wrong.
    Usage = 2,
    /// A registry or the network.
    Network = 3,
    /// This machine: namespaces, permissions, a missing tool.
    Environment = 4,
    /// No space left.
    Space = 5,
    /// The store is damaged, or input was refused as hostile.
    Damage = 6,
    /// A mistake of ours.
    Internal = 70,
    /// Interrupted.
    Cancelled = 130,
}

impl Class {
    /// What programs know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Damage => "damage",
            Self::Environment => "environment",
            Self::Internal => "internal",
            Self::Network => "network",
            Self::Space => "space",
            Self::Step => "step",
            Self::Usage => "usage",
        }
    }
}

/// A failure with everything that is told about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// What happened, then why, then why that, one line each.
    chain: Vec<String>,
    /// What to show above the chain: the last lines of a step, words of a Dockerfile.
    exhibit: Vec<String>,
    /// The words of a Dockerfile it is about, as objects for programs.
    findings: Vec<Value>,
    remedy: Option<String>,
    /// The command that shows it again.
    reproduction: Option<String>,
    /// The kind it is of, where that has a page.
    kind: Option<ErrorCode>,
    /// The exit code, where it is that of a command the person asked for.
    code: Option<u8>,
}

impl Failure {
    /// A failure of ours to tell.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { chain: vec![message.into()], ..Self::empty(class) }
    }

    /// A wrong command line or input.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// What a library reported, with its causes.
    ///
    /// A full disk is a full disk whatever was being done, and so is a registry that does not answer:
    /// layers are fetched when they are needed. Both override `class`.
    pub(crate) fn of(class: Class, error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::empty(class);
        let mut next = Some(error);
        while let Some(error) = next {
            failure.extend(&error.to_string());
            // The innermost knows best, but for a full disk.
            if failure.class != Class::Space {
                failure.kind = code::of(error).or(failure.kind);
            }
            if is_full(error) {
                failure.kind = Some(ErrorCode::NoSpace);
                failure.class = Class::Space;
                failure.remedy = Some(SPACE.to_owned());
            } else if registry::is_of_network(error) {
                failure.class = Class::Network;
            } else if failure.class == Class::Environment && is_broken(error) {
                failure.class = Class::Damage;
                failure.kind = Some(ErrorCode::DiskBroken);
                failure.remedy = Some(BROKEN.to_owned());
            } else if failure.class == Class::Environment && is_changed(error) {
                failure.class = Class::Damage;
                failure.kind = Some(ErrorCode::StoreDamaged);
                failure.remedy = Some(store::VERIFY.to_owned());
            }
            next = error.source();
        }
        failure
    }

    /// The same failure with a cause.
    pub(crate) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let cause = Self::of(self.class, error);
        self.class = cause.class;
        self.kind = self.kind.or(cause.kind);
        cause.chain.iter().for_each(|message| self.extend(message));
        self.remedy = self.remedy.or(cause.remedy);
        self
    }

    /// The same failure as one of a kind, unless that is known better.
    pub(crate) fn known_as(mut self, kind: ErrorCode) -> Self {
        self.kind.get_or_insert(kind);
        self
    }

    /// The same failure as one of a place where something was written.
    pub(crate) fn within(mut self, place: impl Into<String>) -> Self {
        self.chain.insert(0, place.into());
        self
    }

    /// The same failure with one sentence on what to do.
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.get_or_insert(remedy.into());
        self
    }

    /// The same failure with what to do, where there is something.
    pub(crate) fn advised(self, remedy: Option<impl Into<String>>) -> Self {
        match remedy {
            Some(remedy) => self.remedy(remedy),
            None => self,
        }
    }

    /// The same failure with the command that leads to it again, if a step failed.
    pub(crate) fn reproducible(mut self, command: &str) -> Self {
        self.reproduction = (self.class == Class::Step).then(|| command.to_owned());
        self
    }

    /// The same failure with lines to show above it; they have to be harmless already.
    pub(crate) fn exhibit(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.exhibit.extend(lines);
        self
    }

    /// The same failure with the words of a Dockerfile it is about.
    pub(crate) fn findings(mut self, source: &SourceFile, findings: &[Diagnostic]) -> Self {
        self.exhibit.extend(findings.iter().take(SHOWN).map(|finding| source.excerpt(finding)));
        if findings.len() > SHOWN {
            self.exhibit.push(format!("… and {} more", findings.len() - SHOWN));
        }
        self.findings.extend(findings.iter().map(|finding| source.object(finding)));
        self
    }

    /// As [`Self::findings`], of one that is long and stands right below, as the answer of a registry
    /// does: its place is shown without it.
    pub(crate) fn pointing(mut self, source: &SourceFile, finding: &Diagnostic) -> Self {
        self.exhibit.push(source.place(finding));
        self.findings.push(source.object(finding));
        self
    }

    /// The same failure with the exit code of the command that was run.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = Some(code);
        self
    }

    /// What happened and why on one line.
    pub(crate) fn sentence(&self) -> String {
        sanitize::text(self.chain.join(": ").as_bytes(), Medium::Log)
    }

    /// The lines for standard error.
    pub(crate) fn lines(&self) -> Vec<String> {
        let clean = |text: &String| sanitize::text(text.as_bytes(), Medium::Log);
        let mut lines = self.exhibit.clone();
        for (depth, message) in self.chain.iter().enumerate() {
            let start = if depth == 0 { "error: " } else { "  because: " };
            lines.push(format!("{start}{}", clean(message)));
        }
        lines.extend(self.remedy.iter().map(|remedy| format!("help: {}", clean(remedy))));
        let again = self.reproduction.iter();
        lines.extend(again.map(|command| format!("reproduce: {}", clean(command))));
        let name = self.kind.map(ErrorCode::name).into_iter();
        lines.extend(name.map(|name| format!("code: {name} (see `wythe explain {name}`)")));
        lines
    }

    /// The words of a Dockerfile it is about, as objects for programs.
    pub(crate) fn places(&self) -> &[Value] {
        &self.findings
    }

    /// The last event of a stream of JSON, as `docs/events.md` specifies.
    fn event(&self) -> String {
        let event = json!({
            "v": json::VERSION,
            "event": "error",
            "class": self.class.name(),
            "kind": self.kind.map(ErrorCode::name),
            "code": self.code.unwrap_or(self.class as u8),
            "messages": self.chain,
            "help": self.remedy,
            "reproduce": self.reproduction,
            "findings": self.findings,
        });
        json::escape(&event.to_string())
    }

    /// What goes to standard error, in the form progress has.
    pub(crate) fn text(&self, form: ProgressForm) -> String {
        match form {
            ProgressForm::Json => self.event(),
            // What it quotes is others', and in which system it is read is not known here.
            ProgressForm::Auto
            | ProgressForm::Plain
            | ProgressForm::Quiet
            | ProgressForm::RawJson
            | ProgressForm::Tty => CiSystem::GitHub.harmless(&self.lines().join("\n")),
        }
    }

    /// The code the process ends with.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code.unwrap_or(self.class as u8))
    }

    fn empty(class: Class) -> Self {
        let (chain, exhibit, findings) = (Vec::new(), Vec::new(), Vec::new());
        let (remedy, reproduction) = (None, None);
        Self { class, chain, exhibit, findings, remedy, reproduction, kind: None, code: None }
    }

    /// Adds a cause, unless a message above has said it already.
    fn extend(&mut self, message: &str) {
        if !self.says(message) {
            self.chain.push(message.to_owned());
        }
    }

    fn says(&self, message: &str) -> bool {
        self.chain.iter().any(|said| said.contains(message))
    }
}

/// How many findings are shown: a file that is no Dockerfile may have a mistake in every line.
const SHOWN: usize = 10;

const SPACE: &str = "`wythe du` shows what takes up space, `wythe prune` frees some";

const BROKEN: &str =
    "the kernel's log says what is wrong with the disk; `wythe verify` lists what is damaged";

/// How the error of the system for a device that does not work ends.
const DEVICE: &str = "(os error 5)";

/// How errors of the system for a full disk and a full quota end. One that a transparent error passes
/// through has lost its type, and these words are all there is.
const FULL: [&str; 2] = ["(os error 28)", "(os error 122)"];

/// Whether an error is that of a full disk or quota.
fn is_full(error: &(dyn Error + 'static)) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        || matches!(
            error.downcast_ref::<rustix::io::Errno>(),
            Some(&rustix::io::Errno::NOSPC | &rustix::io::Errno::DQUOT)
        )
        || FULL.iter().any(|end| error.to_string().ends_with(end))
}

/// Whether an error is that of a disk that cannot read or write.
fn is_broken(error: &(dyn Error + 'static)) -> bool {
    let number = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    number == Some(rustix::io::Errno::IO.raw_os_error()) || error.to_string().ends_with(DEVICE)
}

/// Whether it comes of a blob of the store that has changed.
fn is_changed(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    matches!(inner, Some(inner) if inner.is::<ChangedBlob>())
}

#[cfg(test)]
mod tests {
    use wythe_dockerfile::span::Span;
    use wythe_registry::error::{RegistryError, RegistryProblem};

    use super::*;

    #[test]
    fn a_blob_that_has_changed_is_damage_wherever_it_is_read() {
        let changed = ChangedBlob(wythe_store::digest::Digest::of(b"x"));
        let error = Outer(io::Error::new(io::ErrorKind::InvalidData, changed));
        let failure = Failure::of(Class::Environment, &error);
        assert_eq!(failure.class, Class::Damage);
        assert_eq!(failure.remedy.as_deref(), Some(store::VERIFY));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the layer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_told_below_what_happened() {
        let error = Outer(io::Error::other("it is Monday"));
        let failure = Failure::of(Class::Internal, &error).remedy("wait for Tuesday");
        let expected =
            ["error: cannot write the layer", "  because: it is Monday", "help: wait for Tuesday"];
        assert_eq!(failure.lines(), expected);
    }

    #[test]
    fn nothing_is_told_twice() {
        let inner = io::Error::other("it is Monday");
        let failure = Failure::usage("no lunch: it is Monday").because(&Outer(inner));
        let expected = ["error: no lunch: it is Monday", "  because: cannot write the layer"];
        assert_eq!(failure.lines(), expected);
    }

    #[test]
    fn a_place_alone_does_not_repeat_what_happened_there() {
        let source = SourceFile { name: "Dockerfile".to_owned(), text: "RUNN b\n".to_owned() };
        let finding = Diagnostic::error(Span::new(0, 4), "unknown instruction").help("RUN?");
        let failure = Failure::usage("unknown instruction").pointing(&source, &finding);
        let lines = failure.lines().join("\n");
        assert_eq!(lines.matches("unknown instruction").count(), 1, "{lines}");
        assert!(lines.starts_with("Dockerfile:1:1:\n") && lines.contains("help: RUN?"), "{lines}");
    }

    #[test]
    fn a_full_disk_is_a_full_disk_wherever_it_happens() {
        let error = Outer(io::Error::from(io::ErrorKind::StorageFull));
        let failure = Failure::of(Class::Internal, &error);
        assert_eq!(failure.class, Class::Space);
        assert!(failure.lines()[2].contains("wythe prune"));
        assert_eq!(failure.kind, Some(ErrorCode::NoSpace));
    }

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Passed(io::Error);

    #[test]
    fn a_full_disk_is_known_behind_a_transparent_error() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let failure = Failure::of(Class::Environment, &Passed(full));
        assert_eq!(failure.class, Class::Space);
    }

    #[test]
    fn a_disk_that_breaks_is_damage() {
        let broken = || io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error());
        let errors: [&(dyn Error + 'static); 2] = [&Outer(broken()), &Passed(broken())];
        for error in errors {
            let failure = Failure::of(Class::Environment, error);
            assert_eq!((failure.class, failure.remedy.is_some()), (Class::Damage, true));
        }
    }

    #[test]
    fn a_registry_that_breaks_off_is_the_networks_failure_wherever_it_happens() {
        let problem = || RegistryProblem::Transport { detail: "reset".to_owned() };
        let (method, url) = ("GET".to_owned(), "https://r.io/v2/".to_owned());
        let request =
            || RegistryError { method: method.clone(), url: url.clone(), problem: problem() };
        let broken: [&(dyn Error + 'static); 2] =
            [&Outer(io::Error::other(request())), &Passed(io::Error::other(request()))];
        for error in broken {
            assert_eq!(Failure::of(Class::Environment, error).class, Class::Network);
        }
    }

    #[test]
    fn a_failure_is_an_event_for_programs() {
        let failure = Failure::usage("no such stage").remedy("look at --call=targets");
        let event: serde_json::Value = serde_json::from_str(&failure.event()).unwrap();
        assert_eq!(event["class"], "usage");
        assert_eq!((&event["code"], &event["messages"][0]), (&json!(2), &json!("no such stage")));
    }

    #[test]
    fn programs_learn_the_place_in_the_dockerfile() {
        let source =
            SourceFile { name: "Dockerfile".to_owned(), text: "FROM a\nRUNN b\n".to_owned() };
        let finding = Diagnostic::error(Span::new(7, 11), "unknown instruction").help("RUN?");
        let failure = Failure::usage("it failed").findings(&source, &[finding]);
        let event: Value = serde_json::from_str(&failure.event()).unwrap();
        let expected = json!({
            "file": "Dockerfile", "line": 2, "column": 1, "end": {"line": 2, "column": 5},
            "message": "unknown instruction", "help": "RUN?", "rule": null,
        });
        assert_eq!(event["findings"], json!([expected]));
        assert!(failure.lines()[0].contains("RUNN b"), "{:?}", failure.lines());
    }

    #[test]
    fn a_message_from_outside_cannot_drive_the_terminal() {
        let lines = Failure::new(Class::Network, "denied\x1b[2J\nerror: fake").lines();
        assert_eq!(lines, ["error: denied\\x1b[2J\\x0aerror: fake"]);
    }
    #[test]
    fn a_message_from_outside_is_no_command_to_a_ci_system() {
        let text = Failure::new(Class::Network, "denied ##[add-mask]a").text(ProgressForm::Auto);
        assert_eq!(text, "error: denied ## [add-mask]a");
    }
}
