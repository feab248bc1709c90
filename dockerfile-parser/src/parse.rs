//! From text to tree: one logical line at a time, every error collected.

mod command;
mod copy;
mod from;
mod healthcheck;
mod key_value;
mod list;
mod onbuild;
mod run;

use crate::ast::{Dockerfile, Escape, Heredoc, Instruction, InstructionKind, Word};
use crate::diagnostic::{Diagnostic, Severity};
use crate::directive;
use crate::flag::{self, Flags};
use crate::frontend;
use crate::heredoc;
use crate::line::{Lines, Logical, MAX_LINE, SAVE_AS_UTF8, is_wide, physical};
use crate::span::Span;
use crate::suggest::nearest;
use crate::words::Text;

/// A Dockerfile and everything wrong with it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Parsed {
    /// The tree: every instruction that could be understood.
    pub dockerfile: Dockerfile,
    /// Errors and warnings in source order.
    pub diagnostics: Vec<Diagnostic>,
    /// Blank lines inside continued instructions, for the lint rule about them.
    pub blank_continuations: Vec<BlankContinuation>,
}

/// A blank line inside a continued instruction.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlankContinuation {
    /// The blank line.
    pub span: Span,
    /// The last line of the instruction, heredocs aside.
    pub last_line: Span,
}

impl Parsed {
    /// The first error, if the file cannot be built.
    pub fn first_error(&self) -> Option<&Diagnostic> {
        self.diagnostics.iter().find(|finding| finding.severity == Severity::Error)
    }
}

/// The names of directives.
pub const DIRECTIVES: [&str; 3] = ["check", "escape", "syntax"];

/// The keywords, in alphabetical order.
pub const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// One instruction as its own parser sees it.
pub(crate) struct Input<'a> {
    /// The keyword in upper case.
    pub(crate) keyword: &'static str,
    /// The keyword's place.
    pub(crate) at: Span,
    /// The flags.
    pub(crate) flags: Flags,
    /// What follows them.
    pub(crate) text: Text<'a>,
    /// The heredocs that follow the line.
    pub(crate) heredocs: Vec<Heredoc>,
    /// The escape character of the file.
    pub(crate) escape: Escape,
    /// Findings that are no errors.
    pub(crate) warnings: &'a mut Vec<Diagnostic>,
}

impl Input<'_> {
    /// An error about the instruction as a whole.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        let end = self.text.whole().span.end;
        Diagnostic::error(Span::new(self.at.start, end.max(self.at.end)), message)
    }

    /// Refuses every flag.
    pub(crate) fn no_flags(&self) -> Result<(), Diagnostic> {
        self.flags.check(&[], &[])
    }

    /// The whole text as the one argument there must be.
    pub(crate) fn one_argument(&self) -> Result<Word, Diagnostic> {
        self.no_flags()?;
        if self.text.is_empty() {
            let error = self.error(format!("{} requires exactly one argument", self.keyword));
            return Err(error.help(format!("write {} {}", self.keyword, example(self.keyword))));
        }
        Ok(self.text.whole())
    }
}

/// What could follow a keyword that takes one argument.
fn example(keyword: &str) -> &'static str {
    match keyword {
        "STOPSIGNAL" => "SIGTERM",
        "USER" => "name",
        "WORKDIR" => "/srv",
        _ => "name; better, LABEL maintainer=name",
    }
}

/// Parses a Dockerfile. Never fails: what is wrong is in [`Parsed::diagnostics`].
pub fn parse(source: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if source.is_empty() {
        let error = Diagnostic::error(Span::default(), "the Dockerfile cannot be empty");
        parsed.diagnostics.push(error.help("begin it with FROM"));
        return parsed;
    }
    if is_wide(source) {
        let error = Diagnostic::error(Span::default(), "the Dockerfile is UTF-16, not UTF-8");
        parsed.diagnostics.push(error.help(SAVE_AS_UTF8));
        return parsed;
    }
    if let Some(error) = frontend::foreign(source) {
        parsed.diagnostics.push(error);
        return parsed;
    }
    long_lines(source, &mut parsed.diagnostics);
    let top = directive::read(source);
    parsed.diagnostics.extend(top.diagnostics);
    let escape = top.directives.escape;
    parsed.dockerfile.directives = top.directives;
    let mut lines = Lines::new(source, 0, escape);
    let mut attempted = 0;
    while let Some(line) = lines.logical() {
        attempted += 1;
        let last_line = line.last_line;
        let blank = line.blank.map(|span| BlankContinuation { span, last_line });
        parsed.blank_continuations.extend(blank);
        match instruction(&line, &mut lines, escape, &mut parsed.diagnostics) {
            Ok(instruction) => parsed.dockerfile.instructions.push(instruction),
            Err(error) => parsed.diagnostics.push(error),
        }
    }
    if attempted == parsed.dockerfile.instructions.len() {
        order(source, &parsed.dockerfile.instructions, &mut parsed.diagnostics);
    } else if let Some(syntax) = &parsed.dockerfile.directives.syntax {
        parsed.diagnostics.extend(frontend::other_language(syntax));
    }
    parsed.diagnostics.sort_by_key(|finding| finding.span.start);
    parsed
}

/// Parses the text of an `ONBUILD` trigger: one instruction, heredoc bodies included.
pub fn parse_trigger(source: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut lines = Lines::new(source, 0, Escape::Backslash);
    while let Some(line) = lines.logical() {
        match instruction(&line, &mut lines, Escape::Backslash, &mut parsed.diagnostics) {
            Ok(instruction) => parsed.dockerfile.instructions.push(instruction),
            Err(error) => parsed.diagnostics.push(error),
        }
    }
    let wrong = trigger_error(&parsed.dockerfile.instructions);
    parsed.diagnostics.extend(wrong);
    parsed
}

/// What no trigger may be: another image's configuration can hold anything.
fn trigger_error(instructions: &[Instruction]) -> Option<Diagnostic> {
    if let Some(second) = instructions.get(1) {
        let message = "an ONBUILD trigger is a single instruction";
        return Some(Diagnostic::error(second.span, message));
    }
    let keyword = &instructions.first()?.keyword;
    onbuild::refused(keyword)
}

fn long_lines(source: &str, out: &mut Vec<Diagnostic>) {
    let long = physical(source).into_iter().filter(|line| line.text.len() > MAX_LINE);
    out.extend(long.map(|line| {
        let message = format!("dockerfile line greater than max allowed size of {MAX_LINE}");
        let span = Span::new(line.start, line.start + line.text.len());
        Diagnostic::error(span, message).help("split the line with a continuation")
    }));
}

/// What must hold between instructions: some are there, and FROM is first.
fn order(source: &str, instructions: &[Instruction], out: &mut Vec<Diagnostic>) {
    let end = Span::new(0, source.lines().next().map_or(0, str::len));
    if instructions.is_empty() {
        let error = Diagnostic::error(end, "file with no instructions");
        out.push(error.help("begin it with FROM"));
        return;
    }
    let is_arg = |one: &&Instruction| matches!(one.kind, InstructionKind::Arg(_));
    if let Some(first) = instructions.iter().find(|one| !is_arg(one)) {
        if !matches!(first.kind, InstructionKind::From(_)) {
            let message = "no build stage in current context: FROM must come first";
            let error = Diagnostic::error(first.span, message);
            out.push(error.help("only ARG may stand before the first FROM"));
        }
        return;
    }
    let error = Diagnostic::error(end, "dockerfile contains no stages to build");
    out.push(error.help("add a FROM"));
}

fn instruction(
    line: &Logical,
    lines: &mut Lines<'_>,
    escape: Escape,
    out: &mut Vec<Diagnostic>,
) -> Result<Instruction, Diagnostic> {
    let (keyword, rest) = Text::new(line, 0, line.text.len()).split_first();
    let name = KEYWORDS.into_iter().find(|known| known.eq_ignore_ascii_case(&keyword.value));
    let Some(name) = name else {
        return Err(unknown(&keyword));
    };
    let heredocs = heredoc::bodies(line, heredoc_starts(name, rest), lines)?;
    let span = heredocs.last().map_or(line.span, |last| closed(line.span, last));
    let (flags, text) =
        if name == "ONBUILD" { (Flags::default(), rest) } else { flag::split(rest) };
    let at = keyword.span;
    let input = Input { keyword: name, at, flags, text, heredocs, escape, warnings: out };
    let kind = dispatch(input)?;
    let (text, comments) = (line.text.trim_end().to_owned(), line.comments.clone());
    Ok(Instruction { span, keyword, text, comments, kind })
}

fn unknown(keyword: &Word) -> Diagnostic {
    let message = format!("unknown instruction: {}", keyword.value);
    let error = Diagnostic::error(keyword.span, message);
    match nearest(&keyword.value, KEYWORDS) {
        Some(known) => error.help(format!("did you mean {known}?")),
        None => error.help("to go on with the line above, end that line with the escape character"),
    }
}

/// The span up to the end of a heredoc's terminator line.
fn closed(line: Span, last: &Heredoc) -> Span {
    Span::new(line.start, last.body.span.end + last.name.len())
}

fn heredoc_starts(keyword: &str, rest: Text<'_>) -> Vec<heredoc::Start> {
    if keyword != "ONBUILD" {
        return starts_of(keyword, rest);
    }
    let (trigger, rest) = rest.split_first();
    starts_of(&trigger.value.to_ascii_uppercase(), rest)
}

fn starts_of(keyword: &str, rest: Text<'_>) -> Vec<heredoc::Start> {
    if !matches!(keyword, "ADD" | "COPY" | "RUN") || !rest.as_str().contains("<<") {
        return Vec::new();
    }
    let (_, arguments) = flag::split(rest);
    if command::is_exec_form(arguments.as_str()) {
        return Vec::new();
    }
    let shift = |start: heredoc::Start| heredoc::Start {
        from: start.from + arguments.start,
        to: start.to + arguments.start,
        ..start
    };
    heredoc::starts(arguments.as_str()).into_iter().map(shift).collect()
}

fn dispatch(mut input: Input<'_>) -> Result<InstructionKind, Diagnostic> {
    Ok(match input.keyword {
        "ADD" => InstructionKind::Add(copy::add(input)?),
        "ARG" => InstructionKind::Arg(key_value::arg(&input)?),
        "CMD" => InstructionKind::Cmd(command::command(&mut input)?),
        "COPY" => InstructionKind::Copy(copy::copy(input)?),
        "ENTRYPOINT" => InstructionKind::Entrypoint(command::command(&mut input)?),
        "ENV" => InstructionKind::Env(key_value::pairs(&input)?),
        "EXPOSE" => InstructionKind::Expose(list::expose(&input)?),
        "FROM" => InstructionKind::From(from::from(input)?),
        "HEALTHCHECK" => InstructionKind::Healthcheck(healthcheck::healthcheck(input)?),
        "LABEL" => InstructionKind::Label(key_value::pairs(&input)?),
        "MAINTAINER" => InstructionKind::Maintainer(input.one_argument()?),
        "ONBUILD" => InstructionKind::Onbuild(onbuild::onbuild(&input)?),
        "RUN" => InstructionKind::Run(run::run(input)?),
        "SHELL" => InstructionKind::Shell(command::shell(&input)?),
        "STOPSIGNAL" => InstructionKind::Stopsignal(input.one_argument()?),
        "USER" => InstructionKind::User(input.one_argument()?),
        "VOLUME" => InstructionKind::Volume(list::volume(&mut input)?),
        _ => InstructionKind::Workdir(input.one_argument()?),
    })
}
