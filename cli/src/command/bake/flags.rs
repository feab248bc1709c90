//! A target as the flags of `wythe build`, so that both mean the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::FromArgMatches as _;
use wythe_bake::definition::HERE;
use wythe_bake::target::Target;
use wythe_bake::target::entry::Output;

use super::remote::{below, is_remote};
use crate::args::Cli;
use crate::args::bake::BakeArgs;
use crate::args::build::{BuildArgs, ImageHome, Telling};
use crate::args::create_repository::CreateRepository;
use crate::args::every_build::CommonArgs;
use crate::args::secret::SecretSource;
use crate::command::Command;
use crate::command::build::deliver::is_pushed;
use crate::command::compose::Variables;
use crate::failure::Failure;

/// What a target is to become.
pub(super) enum Asked {
    /// A result, of which is told in a file.
    Build { metadata: PathBuf },
    /// An answer.
    Question,
}

/// The flags of a target.
pub(super) fn of(
    target: &Target,
    (args, origin): (&BakeArgs, Origin<'_>),
    asked: &Asked,
) -> Result<BuildArgs, Failure> {
    let mut words = Words(vec!["wythe".to_owned(), "build".to_owned()]);
    let place = origin.place(target);
    input(target, (origin, place), &mut words)?;
    result(target, &mut words);
    cache(target, &mut words);
    run(target, args, &mut words);
    match asked {
        Asked::Build { metadata } => words.flag("--metadata-file", &metadata.to_string_lossy()),
        Asked::Question => {
            let format = args.call.map(|call| call.format).unwrap_or_default();
            let call = target.call.clone().unwrap_or_default();
            let json = format == crate::args::call::AnswerFormat::Json;
            words.flag("--call", &if json { format!("{call},format=json") } else { call });
        }
    }
    words.0.push("--".to_owned());
    words.0.push(place.context().to_owned());
    let mut built = parsed(words.0).map_err(|failure| failure.within(target.name.clone()))?;
    built.result.telling = Telling::Nothing;
    common(&args.common, &mut built);
    for secret in &mut built.input.secret {
        if let SecretSource::Env(name) = &secret.source
            && let Some(given) = origin.variables.and_then(|all| all.get(name))
        {
            let (name, given) = (name.clone(), given.clone());
            secret.source = SecretSource::EnvOrGiven { name, given };
        }
    }
    if let Place::Within { directory, .. } = place {
        built.input.context_subdirectory = Some(directory.to_owned());
    }
    Ok(match args.home {
        ImageHome::Docker => built.of_docker(),
        ImageHome::Store => built,
    })
}

/// What is said of all targets.
fn common(args: &CommonArgs, built: &mut BuildArgs) {
    built.run.steps = args.steps;
    built.cache.reuse = args.reuse.clone();
    built.result.shape = args.shape;
    built.checks.strict = args.checks.strict;
    // Repositories are made for what is pushed, which need not be all.
    if !is_pushed(&built.result) {
        built.result.shape.repositories.create_repo = CreateRepository::No;
    }
}

fn parsed(words: Vec<String>) -> Result<BuildArgs, Failure> {
    let matches = Cli::definition().try_get_matches_from(words);
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = cli.map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        Failure::usage(first.strip_prefix("error: ").unwrap_or(first))
    })?;
    let Command::Build(args) = cli.command else {
        return Err(Failure::usage("these are no flags of a build"));
    };
    Ok(*args)
}

struct Words(Vec<String>);

impl Words {
    /// A flag and its value, which may begin like a flag.
    fn flag(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name}={value}"));
    }

    fn flags<T: ToString>(&mut self, name: &str, values: Option<&Vec<T>>) {
        values.into_iter().flatten().for_each(|value| self.flag(name, &value.to_string()));
    }

    fn optional(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.flag(name, value);
        }
    }

    /// `NAME=VALUE` flags; what has no value is not said.
    fn pairs(&mut self, name: &str, pairs: Option<&BTreeMap<String, Option<String>>>) {
        for (key, value) in pairs.into_iter().flatten() {
            if let Some(value) = value {
                self.flag(name, &format!("{key}={value}"));
            }
        }
    }
}

/// Where the definition came from, in which its contexts are; nowhere, it is of the working directory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin<'a> {
    pub(crate) url: Option<&'a str>,
    /// What git shows servers: secrets by id, as flags.
    pub(crate) secrets: &'a [(String, String)],
    /// Variables that secrets may be in beside those of the environment.
    pub(crate) variables: Option<&'a Variables>,
}

/// Where the context of a target is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place<'a> {
    /// A directory of this machine.
    Directory(&'a str),
    /// Behind an address, and its Dockerfile with it.
    Elsewhere(&'a str),
    /// A directory of what is behind the address of the definition.
    Within { url: &'a str, directory: &'a str },
}

impl<'a> Origin<'a> {
    pub(super) fn place(self, target: &'a Target) -> Place<'a> {
        let context = target.context.as_deref().unwrap_or(".");
        match self.url {
            _ if is_remote(context) => Place::Elsewhere(context),
            None => Place::Directory(context),
            Some(url) => match context.strip_prefix(HERE) {
                Some(local) => Place::Directory(local),
                None => Place::Within { url, directory: context },
            },
        }
    }

    /// A named context as `--build-context` takes it.
    fn named(self, source: &str) -> Result<String, Failure> {
        let is_path = !source.contains("://") && !is_remote(source);
        match self.url {
            Some(url) if is_path => below(url, source.trim_start_matches("./")).ok_or_else(|| {
                let text = format!("the context {source} is not to be had of {url} alone");
                Failure::usage(text).remedy("name a git repository, with #REF:DIRECTORY")
            }),
            _ => Ok(source.strip_prefix(HERE).unwrap_or(source).to_owned()),
        }
    }
}

impl<'a> Place<'a> {
    /// What a build is given as its context.
    fn context(self) -> &'a str {
        match self {
            Self::Directory(context) | Self::Elsewhere(context) => context,
            Self::Within { url, .. } => url,
        }
    }

    /// Whether what was fetched with the definition holds it.
    pub(super) fn is_of(self, origin: Origin<'_>) -> bool {
        match self {
            Self::Directory(_) => false,
            Self::Elsewhere(url) => origin.url == Some(url),
            Self::Within { .. } => true,
        }
    }
}

fn input(
    target: &Target,
    (origin, place): (Origin<'_>, Place<'_>),
    words: &mut Words,
) -> Result<(), Failure> {
    let file = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    match place {
        _ if target.dockerfile_inline.is_some() => {}
        Place::Directory(context) => {
            let path = match file.strip_prefix(HERE) {
                Some(local) => PathBuf::from(local),
                None if origin.url.is_some() => {
                    let text =
                        format!("{}: the Dockerfile is elsewhere, the context here", target.name);
                    let remedy = "write dockerfile = \"cwd://…\" for one of the working directory";
                    return Err(Failure::usage(text).remedy(remedy));
                }
                None => Path::new(context).join(file),
            };
            // The usual name is looked for as the build looks for it.
            if file != "Dockerfile" || path.exists() {
                words.flag("--file", &path.to_string_lossy());
            }
        }
        // One of the working directory is handed over as text.
        Place::Elsewhere(_) | Place::Within { .. } if file.starts_with(HERE) => {}
        Place::Elsewhere(_) | Place::Within { .. } => words.flag("--file", file),
    }
    words.optional("--target", target.target.as_ref());
    words.pairs("--build-arg", target.args.as_ref());
    let mut is_fetched = !matches!(place, Place::Directory(_));
    for (name, source) in target.contexts.iter().flatten() {
        if !source.starts_with("target:") {
            let source = origin.named(source)?;
            is_fetched |= is_remote(&source);
            words.flag("--build-context", &format!("{name}={source}"));
        }
    }
    words.flags("--platform", target.platforms.as_ref());
    words.flags("--secret", target.secrets.as_ref());
    if is_fetched {
        let is_said = |id: &str| target.secrets.iter().flatten().any(|one| one.id == id);
        let unsaid = origin.secrets.iter().filter(|(id, _)| !is_said(id));
        unsaid.for_each(|(_, flag)| words.flag("--secret", flag));
    }
    words.flags("--ssh", target.ssh.as_ref());
    Ok(())
}

fn result(target: &Target, words: &mut Words) {
    words.flags("--tag", target.tags.as_ref());
    words.pairs("--label", target.labels.as_ref());
    words.flags("--annotation", target.annotations.as_ref());
    let mut is_loaded = false;
    for output in target.outputs.iter().flatten() {
        if is_kept(output) {
            is_loaded = true;
        } else {
            words.flag("--output", &output.to_string());
        }
    }
    if is_loaded {
        words.0.push("--load".to_owned());
    }
    for attestation in target.attest.iter().flatten() {
        words.flag("--attest", &attestation.to_string());
    }
}

/// What would be loaded into docker's engine, which is what `--load` does where docker calls, and else
/// the store stands for.
fn is_kept(output: &Output) -> bool {
    output.kind == "docker" && output.destination.is_empty() && output.attributes.is_empty()
}

fn cache(target: &Target, words: &mut Words) {
    words.flags("--cache-from", target.cache_from.as_ref());
    words.flags("--cache-to", target.cache_to.as_ref());
    if target.no_cache == Some(true) {
        words.0.push("--no-cache".to_owned());
    }
    words.flags("--no-cache-filter", target.no_cache_filter.as_ref());
    if target.pull == Some(true) {
        words.0.push("--pull".to_owned());
    }
}

fn run(target: &Target, args: &BakeArgs, words: &mut Words) {
    words.optional("--network", target.network.as_ref());
    words.optional("--shm-size", target.shm_size.as_ref());
    words.flags("--ulimit", target.ulimits.as_ref());
    words.flags("--allow", target.entitlements.as_ref());
    for (name, addresses) in target.extra_hosts.iter().flatten() {
        for address in addresses.iter().flat_map(|all| all.split(',')) {
            words.flag("--add-host", &format!("{name}={address}"));
        }
    }
    if let Some(jobs) = args.jobs {
        words.flag("--jobs", &jobs.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::context::ContextSource;
    use crate::args::every_build::{ShapeArgs, StepArgs};
    use crate::args::image_attributes::CompressionArg;
    use crate::args::isolation::{IsolationArg, SnapshotterArg};

    #[test]
    fn a_target_is_the_flags_of_a_build() {
        let text = |text: &str| Some(text.to_owned());
        let target = Target {
            name: "app".to_owned(),
            context: text("src"),
            dockerfile: text("docker/app.Dockerfile"),
            target: text("prod"),
            args: Some([("A".to_owned(), text("-1")), ("B".to_owned(), None)].into()),
            contexts: Some(
                [("base".to_owned(), "target:base".to_owned()), ("s".to_owned(), "src".to_owned())]
                    .into(),
            ),
            tags: Some(vec!["me/app:1".to_owned()]),
            no_cache: Some(true),
            extra_hosts: Some([("h".to_owned(), text("1.2.3.4"))].into()),
            shm_size: text("128m"),
            outputs: Some(vec![Output { kind: "docker".to_owned(), ..Output::default() }]),
            ..Target::default()
        };
        let line = "wythe bake --jobs=3 --isolation=chroot --snapshotter=native --memory=1g --explain \
                    --timeout=9s --compression=zstd --no-durable --strict --create-repo";
        let cli = Cli::of(&line.split_whitespace().collect::<Vec<_>>()).unwrap();
        let Command::Bake(bake) = cli.command else { panic!("not bake") };
        let asked = Asked::Build { metadata: "m".into() };
        let args = of(&target, (&bake, Origin::default()), &asked).unwrap();
        assert_eq!(args.input.file.as_deref(), Some("src/docker/app.Dockerfile"));
        assert_eq!(args.input.target, ["prod"]);
        assert_eq!(args.input.build_arg.len(), 1);
        assert_eq!(args.input.build_context.len(), 1);
        assert!(args.cache.no_cache.is_on() && args.result.load.is_on());
        assert!(args.result.output.is_empty());
        assert_eq!(args.run.surroundings.add_host, ["h=1.2.3.4"]);
        assert_eq!(args.run.jobs.map(std::num::NonZeroUsize::get), Some(3));
        let StepArgs { isolation, snapshotter, quota } = args.run.steps;
        assert_eq!((isolation, snapshotter), (IsolationArg::Chroot, SnapshotterArg::Native));
        assert_eq!((quota.quota().memory, quota.timeout().is_some()), (Some(1 << 30), true));
        assert!(args.cache.reuse.explain.is_on() && args.checks.strict.is_on());
        let ShapeArgs { compression, no_durable, repositories, .. } = args.result.shape;
        assert!(compression == Some(CompressionArg::Zstd) && no_durable.is_on());
        assert_eq!(repositories.create_repo, CreateRepository::No, "it is not pushed");
    }

    #[test]
    fn what_a_build_would_refuse_is_refused_with_the_name_of_the_target() {
        let platforms = Some(vec!["linux/amd64".to_owned()]);
        let network = Some("bridge".to_owned());
        let target = Target { name: "app".to_owned(), platforms, network, ..Target::default() };
        let Command::Bake(bake) = Cli::of(&["wythe", "bake"]).unwrap().command else { panic!() };
        let failure = of(&target, (&bake, Origin::default()), &Asked::Question).unwrap_err();
        assert!(failure.sentence().starts_with("app: invalid value 'bridge'"), "{failure:?}");
    }

    #[test]
    fn what_a_definition_from_elsewhere_names_is_there_unless_it_says_here() {
        let text = |text: &str| Some(text.to_owned());
        let secrets = [("GIT_AUTH_TOKEN".to_owned(), "id=GIT_AUTH_TOKEN,env=T".to_owned())];
        let origin = Origin { url: Some("https://h/r.git#v1"), secrets: &secrets, variables: None };
        let Command::Bake(bake) = Cli::of(&["wythe", "bake"]).unwrap().command else { panic!() };
        let asked = Asked::Build { metadata: "m".into() };
        let flags = |target: &Target| of(target, (&bake, origin), &asked);
        let contexts = [("lib", "lib"), ("own", "cwd://own"), ("image", "docker-image://a")];
        let contexts = contexts.map(|(name, source)| (name.to_owned(), source.to_owned()));
        let mut target = Target {
            name: "app".to_owned(),
            context: text("src"),
            dockerfile: text("app.Dockerfile"),
            contexts: Some(contexts.into()),
            ..Target::default()
        };
        let args = flags(&target).unwrap();
        assert_eq!(args.context, ContextSource::Url("https://h/r.git#v1".to_owned()));
        assert_eq!(args.input.context_subdirectory.as_deref(), Some("src"));
        assert_eq!(args.input.file.as_deref(), Some("app.Dockerfile"));
        assert_eq!(args.input.secret.len(), 1);
        let sources = args.input.build_context.iter().map(|one| one.source.clone());
        let expected = [
            ContextSource::Image("a".to_owned()),
            ContextSource::Url("https://h/r.git#v1:lib".to_owned()),
            ContextSource::Directory("own".into()),
        ];
        assert_eq!(sources.collect::<Vec<_>>(), expected);
        (target.context, target.contexts) = (text("cwd://here"), None);
        assert!(flags(&target).unwrap_err().sentence().contains("the context here"));
        target.dockerfile = text("cwd://my.Dockerfile");
        let args = flags(&target).unwrap();
        assert_eq!(args.context, ContextSource::Directory("here".into()));
        assert_eq!(args.input.file.as_deref(), Some("my.Dockerfile"));
        assert!(args.input.secret.is_empty(), "nothing is fetched");
    }
}
