//! The syntax tree: one struct per instruction, words as written, spans everywhere.
//!
//! Nothing is expanded here. A word keeps its quotes, escapes and `$`; [`crate::expand`] turns it
//! into text once the variables are known. The tree is a value: no file handle, no build state.

use crate::heredoc::without_tabs;
use crate::span::{Span, Spanned};

/// A word as written, unexpanded.
pub type Word = Spanned<String>;

/// A whole file, in source order. Stages are grouped by [`crate::stage`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dockerfile {
    /// The leading `# name=value` lines.
    pub directives: Directives,
    /// Every instruction that could be understood, in order.
    pub instructions: Vec<Instruction>,
}

/// The parser directives of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Directives {
    /// `# syntax=`: read and reported, never run.
    pub syntax: Option<Word>,
    /// `# escape=`: the character of line continuation and word escapes.
    pub escape: Escape,
    /// `# check=`: which lint rules are skipped, and whether findings are errors.
    pub check: Option<Word>,
}

/// The escape character of a file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Escape {
    /// `\`
    #[default]
    Backslash,
    /// `` ` ``, for Windows paths.
    Backtick,
}

impl Escape {
    /// The character itself.
    pub fn char(self) -> char {
        match self {
            Self::Backslash => '\\',
            Self::Backtick => '`',
        }
    }
}

/// One instruction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instruction {
    /// From the keyword to the end of the last continuation line or heredoc terminator.
    pub span: Span,
    /// The keyword as spelled.
    pub keyword: Word,
    /// The logical line as written: continuations joined, comments removed, without heredoc bodies.
    pub text: String,
    /// The comment lines directly above, without `#`, in order.
    pub comments: Vec<Word>,
    /// What the instruction says.
    pub kind: InstructionKind,
}

/// What an instruction says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    missing_docs,
    reason = "each variant is named as its keyword and documented at its struct"
)]
pub enum InstructionKind {
    Add(Add),
    Arg(Arg),
    Cmd(Command),
    Copy(Copy),
    Entrypoint(Command),
    Env(KeyValues),
    Expose(Words),
    From(From),
    Healthcheck(Healthcheck),
    Label(KeyValues),
    Maintainer(Word),
    Onbuild(Onbuild),
    Run(Run),
    Shell(Vec<String>),
    Stopsignal(Word),
    User(Word),
    Volume(Words),
    Workdir(Word),
}

/// `FROM [--platform=P] image [AS name]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct From {
    /// `--platform`
    pub platform: Option<Word>,
    /// The base: a stage, a named context, an image, or `scratch`.
    pub image: Word,
    /// The keyword `AS` as spelled, for the lint rule on its casing.
    pub as_keyword: Option<Word>,
    /// The stage's name as spelled; compare it in lower case.
    pub name: Option<Word>,
}

/// `ARG name[=default] …`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Arg {
    /// The declared names, in order.
    pub items: Vec<ArgItem>,
}

/// One name of an `ARG`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ArgItem {
    /// The name, unexpanded.
    pub name: Word,
    /// The default, unexpanded; absent without `=`.
    pub default: Option<Word>,
}

/// `ENV` and `LABEL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyValues {
    /// How the pairs were written.
    pub form: KeyValueForm,
    /// The pairs in order, unexpanded, quotes kept.
    pub pairs: Vec<KeyValue>,
}

/// The two spellings of `ENV` and `LABEL`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyValueForm {
    /// `k=v k2=v2`
    Equals,
    /// `k the rest of the line`
    Legacy,
}

/// One pair of an `ENV` or `LABEL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyValue {
    /// The key, unexpanded.
    pub key: Word,
    /// The value, unexpanded.
    pub value: Word,
}

/// The word list of `EXPOSE` and `VOLUME`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Words {
    /// The words in order, unexpanded.
    pub words: Vec<Word>,
}

/// The command of `RUN`, `CMD`, `ENTRYPOINT` and `HEALTHCHECK CMD`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// `["program", "argument"]`
    Exec(Vec<String>),
    /// Text for the stage's `SHELL`, exactly as written.
    Shell(String),
}

/// `RUN [flags] command`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Run {
    /// `--mount`, in order; interpreted by [`crate::mount`] once variables are known.
    pub mounts: Vec<Word>,
    /// `--network`
    pub network: Option<Word>,
    /// `--security`
    pub security: Option<Word>,
    /// `--device`, in order.
    pub devices: Vec<Word>,
    /// What to run. The shell form of a `RUN` with heredocs is the line without their bodies.
    pub command: Command,
    /// The heredocs of the line, in order of appearance; empty in exec form.
    pub heredocs: Vec<Heredoc>,
}

/// A heredoc with its body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heredoc {
    /// The whole `[fd]<<[-]NAME` word, as written.
    pub word: Word,
    /// The name, quotes removed.
    pub name: String,
    /// The file descriptor before `<<`, if written.
    pub descriptor: Option<u32>,
    /// Whether `$` in the body stands for variables.
    pub expansion: HeredocExpansion,
    /// Whether leading tabs are stripped (`<<-`).
    pub chomp: HeredocChomp,
    /// The lines between the instruction and the terminator as written, line breaks included.
    pub body: Word,
}

impl Heredoc {
    /// What the heredoc says: its body, without leading tabs where those are stripped.
    pub fn text(&self) -> String {
        let lines = self.body.value.split_inclusive('\n');
        lines.map(|line| without_tabs(line, self.chomp)).collect()
    }
}

/// Whether a heredoc's name was unquoted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeredocExpansion {
    /// The name was unquoted: variables are expanded.
    Expand,
    /// The name was quoted: the body is literal.
    Literal,
}

/// Whether a heredoc was written `<<-`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeredocChomp {
    /// `<<`
    Keep,
    /// `<<-`
    StripTabs,
}

/// A flag that is on, off or not written: `--link`, `--link=false`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Switch {
    /// Not written.
    #[default]
    Unset,
    /// Written, and true.
    On,
    /// Written as false.
    Off,
}

/// A source of `COPY` or `ADD`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A path, wildcard, URL or git reference, unexpanded.
    Word(Word),
    /// A file written in the Dockerfile itself.
    Heredoc(Heredoc),
}

impl Source {
    /// The word, unless it is a heredoc.
    pub fn word(&self) -> Option<&Word> {
        match self {
            Self::Word(word) => Some(word),
            Self::Heredoc(_) => None,
        }
    }
}

/// `COPY [flags] source… destination`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copy {
    /// `--from`: a stage, an index, a named context or an image; the main context if absent.
    pub from: Option<Word>,
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: Switch,
    /// `--parents`
    pub parents: Switch,
    /// `--exclude`, in order.
    pub excludes: Vec<Word>,
    /// What to copy; at least one.
    pub sources: Vec<Source>,
    /// Where to, relative to the working directory unless absolute.
    pub destination: Word,
}

/// `ADD [flags] source… destination`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Add {
    /// `--chown`
    pub chown: Option<Word>,
    /// `--chmod`
    pub chmod: Option<Word>,
    /// `--link`
    pub link: Switch,
    /// `--keep-git-dir`
    pub keep_git_dir: Switch,
    /// `--checksum`
    pub checksum: Option<Word>,
    /// `--unpack`
    pub unpack: Switch,
    /// `--exclude`, in order.
    pub excludes: Vec<Word>,
    /// What to add; at least one.
    pub sources: Vec<Source>,
    /// Where to, relative to the working directory unless absolute.
    pub destination: Word,
}

/// `HEALTHCHECK [flags] CMD …` or `HEALTHCHECK NONE`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Healthcheck {
    /// `NONE`: an inherited check is switched off.
    None,
    /// `CMD`
    Command {
        /// The times and the number of retries, validated; absent fields inherit.
        timing: HealthTiming,
        /// The probe.
        command: Command,
    },
}

/// The flags of `HEALTHCHECK`; durations in nanoseconds, zero where not written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct HealthTiming {
    /// `--interval`
    pub interval: i64,
    /// `--timeout`
    pub timeout: i64,
    /// `--start-period`
    pub start_period: i64,
    /// `--start-interval`
    pub start_interval: i64,
    /// `--retries`
    pub retries: i64,
}

/// `ONBUILD instruction`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Onbuild {
    /// The trigger as stored in the image: the raw rest of the line, heredoc bodies included.
    pub trigger: Word,
}
