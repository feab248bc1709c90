//! What a Dockerfile means, without any of the ways to write it, and how such files are made up.

use proptest::prelude::*;
use proptest::sample::select;

/// The name of the stage that is built.
pub(crate) const TARGET: &str = "goal";

/// Stages, each of which may use those before it. The last is the target.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// Global arguments.
    pub(crate) args: Vec<(String, String)>,
    /// The stages.
    pub(crate) stages: Vec<Stage>,
}

/// One stage.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    /// Its name.
    pub(crate) name: String,
    /// What it starts from.
    pub(crate) base: Start,
    /// What it does.
    pub(crate) body: Vec<Step>,
}

/// What a stage starts from.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// An image.
    Image(String),
    /// A stage before it, by position.
    Stage(usize),
}

/// What an instruction means.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `ARG` with a default.
    Arg(String, String),
    /// `CMD` and `ENTRYPOINT` as lists of words.
    Command(&'static str, Vec<String>),
    /// `COPY`
    Copy(Copy),
    /// `ENV` and `LABEL`.
    Pairs(&'static str, Vec<(String, String)>),
    /// `EXPOSE`, ports over TCP.
    Expose(Vec<u16>),
    /// `HEALTHCHECK` with an interval in seconds and retries.
    Healthcheck(u8, u8, String),
    /// A `COPY` of a text to a file.
    Text(String, Vec<String>),
    /// A `RUN` of a command of the shell.
    Run(Run),
    /// `USER`, `STOPSIGNAL`, `WORKDIR`: a word.
    Word(&'static str, String),
    /// `VOLUME`
    Volume(Vec<String>),
}

/// A copy of files.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    /// The stage they come from, by position; the context if absent.
    pub(crate) from: Option<usize>,
    /// `--chown`
    pub(crate) chown: Option<String>,
    /// `--chmod`
    pub(crate) chmod: Option<String>,
    /// `--link` is there.
    pub(crate) link: bool,
    /// `--exclude`, in order.
    pub(crate) excludes: Vec<String>,
    /// What is copied.
    pub(crate) sources: Vec<String>,
    /// Where to.
    pub(crate) destination: String,
}

/// A command of the shell and what it runs with.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// The fields of each mount.
    pub(crate) mounts: Vec<Vec<String>>,
    /// `--network=none` is there.
    pub(crate) offline: bool,
    /// The command.
    pub(crate) script: String,
}

/// Files with up to four stages.
pub(crate) fn files() -> impl Strategy<Value = File> {
    let args = prop::collection::vec((name(), word()), 0..3);
    let stages = prop::collection::vec((any::<u8>(), prop::collection::vec(step(), 0..7)), 1..5);
    (args, stages).prop_map(|(args, stages)| {
        let last = stages.len() - 1;
        let stage = |(at, (start, body)): (usize, (u8, Vec<Step>))| Stage {
            name: if at == last { TARGET.to_owned() } else { format!("stage-{at}") },
            base: start_of(start, at),
            body: body.into_iter().map(|step| within(step, at)).collect(),
        };
        File { args, stages: stages.into_iter().enumerate().map(stage).collect() }
    })
}

fn start_of(choice: u8, at: usize) -> Start {
    match usize::from(choice) % (at + 2) {
        stage if stage < at => Start::Stage(stage),
        image => Start::Image(["base", "docker.io/library/other:1"][image - at].to_owned()),
    }
}

/// A step that names only stages before its own.
fn within(step: Step, at: usize) -> Step {
    let earlier = |stage: usize| (at > 0).then(|| stage % at.max(1));
    if let Step::Copy(copy) = step {
        return Step::Copy(Copy { from: copy.from.and_then(earlier), ..copy });
    }
    step
}

fn step() -> impl Strategy<Value = Step> {
    let pairs = prop::collection::vec((name(), value()), 1..4);
    let words = prop::collection::vec(value(), 1..4);
    let lines = prop::collection::vec("[a-z #:]{0,6}", 1..4);
    prop_oneof![
        (name(), word()).prop_map(|(name, value)| Step::Arg(name, value)),
        (select(vec!["CMD", "ENTRYPOINT"]), words)
            .prop_map(|(kind, words)| Step::Command(kind, words)),
        copy().prop_map(Step::Copy),
        (select(vec!["ENV", "LABEL"]), pairs).prop_map(|(kind, pairs)| Step::Pairs(kind, pairs)),
        prop::collection::vec(1..100_u16, 1..4).prop_map(Step::Expose),
        (1..100_u8, 1..9_u8, script())
            .prop_map(|(time, tries, text)| Step::Healthcheck(time, tries, text)),
        (word(), lines).prop_map(|(name, lines)| Step::Text(name, lines)),
        run().prop_map(Step::Run),
        run().prop_map(Step::Run),
        (select(vec!["USER", "WORKDIR"]), word()).prop_map(|(kind, word)| Step::Word(kind, word)),
        Just(Step::Word("STOPSIGNAL", "SIGINT".to_owned())),
        prop::collection::vec(word().prop_map(|word| format!("/{word}")), 1..3)
            .prop_map(Step::Volume),
    ]
}

fn copy() -> impl Strategy<Value = Copy> {
    let owner = prop::option::of(select(vec!["1:2", "app", "$NAME"]).prop_map(str::to_owned));
    let mode = prop::option::of(select(vec!["640", "u=rwX,go="]).prop_map(str::to_owned));
    let excludes =
        prop::collection::vec(select(vec!["*.md", "!b", "**/c"]).prop_map(str::to_owned), 0..3);
    let sources = prop::collection::vec(word(), 1..3);
    let from = prop::option::of(0..9_usize);
    (from, owner, mode, any::<bool>(), excludes, sources, word()).prop_map(
        |(from, chown, chmod, link, excludes, sources, to)| {
            let destination = format!("/{to}/");
            Copy { from, chown, chmod, link, excludes, sources, destination }
        },
    )
}

fn run() -> impl Strategy<Value = Run> {
    let mount = select(vec![
        "type=cache,target=/c,sharing=locked",
        "target=/src,rw",
        "type=secret,id=s,required",
        "type=tmpfs,target=/t,size=1m",
    ]);
    let mount = mount.prop_map(|text| text.split(',').map(str::to_owned).collect());
    (prop::collection::vec(mount, 0..3), any::<bool>(), script())
        .prop_map(|(mounts, offline, script)| Run { mounts, offline, script })
}

/// A command line without backslashes and backticks, which mean what the escape makes of them.
fn script() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "make",
        "&&",
        "'it is'",
        "\"$NAME  x\"",
        "| sort",
        "# no comment",
        "${V%%-*}",
        "a=b;",
        "é",
        "[ -e f ]",
    ]);
    prop::collection::vec(piece, 1..6).prop_map(|pieces| format!("echo {}", pieces.join(" ")))
}

fn name() -> impl Strategy<Value = String> {
    select(vec!["NAME", "V", "OTHER", "PATH"]).prop_map(str::to_owned)
}

/// A word that is the same with quotes and without.
fn word() -> impl Strategy<Value = String> {
    "[a-z]{1,3}"
}

/// A text that may need quotes.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![word(), "[a-z]{1,2} {1,2}[a-z=:]{1,3}"]
}
