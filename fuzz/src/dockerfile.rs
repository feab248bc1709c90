//! Dockerfiles: instructions of words and flags, lines that go on, comments, heredocs, directives.

use arbitrary::Arbitrary;
use wythe_dockerfile::ast::{Instruction, Word};
use wythe_dockerfile::diagnostic::render;
use wythe_dockerfile::dump::dump;
use wythe_dockerfile::lint::{LintContext, check};
use wythe_dockerfile::mount;
use wythe_dockerfile::parse::{Parsed, parse, parse_trigger};

/// A text that is most of a Dockerfile.
#[derive(Arbitrary, Debug)]
pub struct Text {
    directive: Option<Directive>,
    lines: Vec<Line>,
}

#[derive(Arbitrary, Debug)]
enum Directive {
    Backslash,
    Backtick,
    Syntax,
    Skip,
    Error,
}

#[derive(Arbitrary, Debug)]
enum Line {
    Instruction { keyword: Keyword, flags: Vec<Flag>, pieces: Vec<Piece>, bodies: Vec<Body> },
    Start { image: Name, name: Option<Name> },
    Comment(Vec<Piece>),
    Empty,
    Raw(String),
}

#[derive(Arbitrary, Debug)]
enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild(Box<Keyword>),
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Flag {
    Chmod,
    Chown,
    Exclude,
    From(Name),
    Interval,
    Link,
    Mount(Vec<Field>),
    Network,
    Parents,
    Platform,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Field {
    Bind,
    Cache,
    Secret,
    Ssh,
    Tmpfs,
    From(Name),
    Mode,
    Required,
    Size,
    Target(Name),
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Name {
    Letter,
    One,
    Two,
    Zero,
    Scratch,
    Variable,
    Slash,
    Other(String),
}

#[derive(Arbitrary, Debug)]
enum Piece {
    Blank,
    Tab,
    Continued,
    ContinuedByComment,
    Equals,
    Slash,
    Quote,
    Single,
    Escape,
    Backtick,
    Open,
    Comma,
    Close,
    Json(String),
    Variable(Name),
    Default(Name),
    Port,
    As,
    Healthy,
    Heredoc(Mark),
    Name(Name),
    Text(String),
}

#[derive(Arbitrary, Debug)]
enum Mark {
    Plain,
    Quoted,
    Chomp,
    Descriptor,
}

#[derive(Arbitrary, Debug)]
struct Body {
    lines: Vec<String>,
    ended: bool,
}

impl Text {
    /// The text itself.
    pub fn written(&self) -> String {
        let mut out = self.directive.as_ref().map_or("", Directive::text).to_owned();
        for line in &self.lines {
            line.write(&mut out);
        }
        out
    }

    /// What holds for every text: nothing panics, and everything lies where it should.
    pub fn check(&self) {
        let source = self.written();
        let parsed = parse(&source);
        placed(&source, &parsed);
        dump(&source, &parsed.dockerfile);
        parse_trigger(&source);
        mounts(&parsed);
        if let Ok(report) = check(&source, &parsed, &LintContext::default()) {
            placed(&source, &Parsed { diagnostics: report.findings, ..parsed });
        }
        line_ends(&source);
    }
}

fn placed(source: &str, parsed: &Parsed) {
    for Instruction { span, keyword, comments, .. } in &parsed.dockerfile.instructions {
        assert!(source.get(span.range()).is_some(), "{span:?} in {source:?}");
        let inside = |word: &Word| source.get(word.span.range()).is_some();
        assert!(inside(keyword) && comments.iter().all(inside), "{source:?}");
    }
    for finding in &parsed.diagnostics {
        assert!(source.get(finding.span.range()).is_some(), "{finding:?} in {source:?}");
        assert!(!render(source, "Dockerfile", finding).is_empty());
    }
}

fn mounts(parsed: &Parsed) {
    for instruction in &parsed.dockerfile.instructions {
        let wythe_dockerfile::ast::InstructionKind::Run(run) = &instruction.kind else { continue };
        for word in &run.mounts {
            let plain = |text: &str| Ok::<_, std::convert::Infallible>(text.to_owned());
            // What is wrong with a mount is an answer, too.
            drop(mount::parse(word).and_then(|raw| raw.interpret(plain)));
        }
    }
}

/// Line ends of Windows change no instruction, heredocs apart: those keep every byte.
fn line_ends(source: &str) {
    if source.contains("<<") {
        return;
    }
    let unix = source.replace('\r', "");
    let windows = unix.replace('\n', "\r\n");
    let texts = |source: &str| -> Vec<String> {
        let all = parse(source).dockerfile.instructions.into_iter();
        all.map(|instruction| instruction.text).collect()
    };
    assert_eq!(texts(&unix), texts(&windows), "{unix:?}");
}

impl Directive {
    fn text(&self) -> &'static str {
        match self {
            Self::Backslash => "# escape=\\\n",
            Self::Backtick => "# escape=`\n",
            Self::Syntax => "# syntax=docker/dockerfile:1\n",
            Self::Skip => "# check=skip=all\n",
            Self::Error => "#check=error=true;skip=JSONArgsRecommended\n",
        }
    }
}

impl Line {
    fn write(&self, out: &mut String) {
        match self {
            Self::Instruction { keyword, flags, pieces, bodies } => {
                keyword.write(out);
                for flag in flags {
                    out.push(' ');
                    flag.write(out);
                }
                out.push(' ');
                pieces.iter().for_each(|piece| piece.write(out));
                out.push('\n');
                bodies.iter().for_each(|body| body.write(out));
            }
            Self::Start { image, name } => {
                out.push_str("FROM ");
                image.write(out);
                if let Some(name) = name {
                    out.push_str(" AS ");
                    name.write(out);
                }
                out.push('\n');
            }
            Self::Comment(pieces) => {
                out.push_str("# ");
                pieces.iter().for_each(|piece| piece.write(out));
                out.push('\n');
            }
            Self::Empty => out.push('\n'),
            Self::Raw(text) => out.push_str(text),
        }
    }
}

impl Keyword {
    fn write(&self, out: &mut String) {
        let text = match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "from",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Onbuild(inner) => {
                out.push_str("ONBUILD ");
                return inner.write(out);
            }
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
            Self::Other(text) => text,
        };
        out.push_str(text);
    }
}

impl Flag {
    fn write(&self, out: &mut String) {
        let text = match self {
            Self::Chmod => "--chmod=u=rwX,go-w",
            Self::Chown => "--chown=1:$A",
            Self::Exclude => "--exclude=**/*.md",
            Self::From(name) => {
                out.push_str("--from=");
                return name.write(out);
            }
            Self::Interval => "--interval=1m30s",
            Self::Link => "--link=TRUE",
            Self::Mount(fields) => {
                out.push_str("--mount=");
                for (at, field) in fields.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    field.write(out);
                }
                return;
            }
            Self::Network => "--network=none",
            Self::Parents => "--parents",
            Self::Platform => "--platform=$BUILDPLATFORM",
            Self::Other(text) => {
                out.push_str("--");
                text
            }
        };
        out.push_str(text);
    }
}

impl Field {
    fn write(&self, out: &mut String) {
        let (key, value) = match self {
            Self::Bind => ("type=bind", None),
            Self::Cache => ("type=cache", None),
            Self::Secret => ("type=secret,id=s", None),
            Self::Ssh => ("type=ssh", None),
            Self::Tmpfs => ("type=tmpfs", None),
            Self::From(name) => ("from=", Some(name)),
            Self::Mode => ("mode=0700", None),
            Self::Required => ("required", None),
            Self::Size => ("size=12m", None),
            Self::Target(name) => ("target=", Some(name)),
            Self::Other(text) => (text.as_str(), None),
        };
        out.push_str(key);
        if let Some(value) = value {
            value.write(out);
        }
    }
}

impl Name {
    fn write(&self, out: &mut String) {
        out.push_str(match self {
            Self::Letter => "a",
            Self::One => "one",
            Self::Two => "TWO",
            Self::Zero => "0",
            Self::Scratch => "scratch",
            Self::Variable => "$A",
            Self::Slash => "/a/../b",
            Self::Other(text) => text,
        });
    }
}

impl Piece {
    fn write(&self, out: &mut String) {
        let text = match self {
            Self::Blank => " ",
            Self::Tab => "\t",
            Self::Continued => "\\\n",
            Self::ContinuedByComment => " \\\n  # why \\\n\n",
            Self::Equals => "=",
            Self::Slash => "/",
            Self::Quote => "\"",
            Self::Single => "'",
            Self::Escape => "\\",
            Self::Backtick => "`",
            Self::Open => "[",
            Self::Comma => ", ",
            Self::Close => "]",
            Self::Json(text) => {
                out.push_str(&format!("{text:?}"));
                return;
            }
            Self::Variable(name) => {
                out.push_str("${");
                name.write(out);
                "}"
            }
            Self::Default(name) => {
                out.push_str("${A:-");
                name.write(out);
                "}"
            }
            Self::Port => "80/tcp",
            Self::As => " AS ",
            Self::Healthy => "CMD ",
            Self::Heredoc(Mark::Plain) => "<<E",
            Self::Heredoc(Mark::Quoted) => "<<'E'",
            Self::Heredoc(Mark::Chomp) => "<<-\"E\"",
            Self::Heredoc(Mark::Descriptor) => "3<<E",
            Self::Name(name) => return name.write(out),
            Self::Text(text) => text,
        };
        out.push_str(text);
    }
}

impl Body {
    fn write(&self, out: &mut String) {
        for line in &self.lines {
            out.push_str(line);
            out.push('\n');
        }
        if self.ended {
            out.push_str("E\n");
        }
    }
}
