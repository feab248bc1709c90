//! The flags of `wythe bake`, named as those of `docker buildx bake`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::attributes::Attributes;
use super::build::ImageHome;
use super::call::{AnswerFormat, Call};
use super::every_build::CommonArgs;
use super::switch::{ParseSwitchError, Switch};

/// Build the targets of a bake file or a Compose file
#[derive(Debug, Args)]
pub(crate) struct BakeArgs {
    /// Targets and groups, by name or pattern; before them the URL of a git repository that has the
    /// file [default: default]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) definition: DefinitionArgs,
    #[command(flatten)]
    pub(crate) result: BakeResultArgs,
    /// Run every step, and keep the results for the next build
    #[arg(
        long,
        value_parser = toggle,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) no_cache: Option<bool>,
    /// Ask the registry for newer base images even if some are here
    #[arg(
        long,
        value_parser = toggle,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub(crate) pull: Option<bool>,
    /// Grant what targets ask for: network.host, security.insecure; places of files need no grant
    #[arg(long, value_name = "ENTITLEMENT", value_delimiter = ',')]
    pub(crate) allow: Vec<String>,
    /// Ask about the Dockerfiles instead: build, check, outline or targets
    #[arg(long, value_name = "METHOD")]
    pub(crate) call: Option<Call>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// What happens to the other targets when one fails
    #[arg(long, value_enum, default_value = "fail-fast", value_name = "MODE")]
    pub(crate) execution: Execution,
    /// How many steps may run at once, of all targets together
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    #[arg(long, hide = true, value_name = "NAME")]
    pub(crate) builder: Option<String>,
    /// Whose the images are.
    #[arg(skip)]
    pub(crate) home: ImageHome,
}

/// What is defined
#[derive(Debug, Args)]
pub(crate) struct DefinitionArgs {
    /// A definition, of HCL, JSON or Compose's YAML, or several; - reads one from standard input
    #[arg(short, long = "file", value_name = "FILE")]
    pub(crate) files: Vec<String>,
    /// Change what a target says: *.args.VERSION=1, app.tags+=me/app
    #[arg(long, value_name = "TARGET.KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Give a variable a value, over the one of the environment
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<String>,
    /// Show what would be built, as JSON, and build nothing
    #[arg(long, conflicts_with = "list")]
    pub(crate) print: Switch,
    /// Show the targets or the variables: targets, variables, or type=targets,format=json
    #[arg(long, value_name = "WHAT")]
    pub(crate) list: Option<List>,
}

/// Where results go, of all targets
#[derive(Debug, Args)]
pub(crate) struct BakeResultArgs {
    /// Push images: short for --set=*.push=true
    #[arg(long)]
    pub(crate) push: Switch,
    /// Keep images in the store, which is what happens anyway: short for --set=*.load=true
    #[arg(long)]
    pub(crate) load: Switch,
    /// Attach statements of how images were built: short for --set=*.attest=type=provenance
    #[arg(long, value_name = "BOOL|mode=min|mode=max")]
    pub(crate) provenance: Option<String>,
    /// Short for --set=*.attest=type=sbom; what is not false is refused
    #[arg(long, hide = true, value_name = "BOOL")]
    pub(crate) sbom: Option<String>,
    /// Write digests and names of all targets as JSON to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
}

/// A switch that, where it is not given, leaves to targets what they say.
fn toggle(text: &str) -> Result<bool, ParseSwitchError> {
    text.parse().map(Switch::is_on)
}

impl BakeArgs {
    /// The same as docker means it: images are for its engine.
    pub(crate) fn of_docker(self) -> Self {
        Self { home: ImageHome::Docker, ..self }
    }

    /// Whether something may be built.
    pub(crate) fn builds(&self) -> bool {
        !self.definition.print.is_on() && self.definition.list.is_none()
    }
}

/// What a failing target means for the others.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Execution {
    /// They are stopped
    FailFast,
    /// They go on, unless they need it; the failures are told in the end
    DeferError,
}

/// What is listed, and how.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct List {
    pub(crate) what: Listed,
    pub(crate) format: AnswerFormat,
}

/// What is listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Listed {
    Targets,
    Variables,
}

impl FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut attributes = Attributes::parse(text).map_err(|error| error.to_string())?;
        let bare = attributes.take_bare().into_iter().next();
        let what = match bare.or_else(|| attributes.take("type")).as_deref() {
            Some("targets") => Listed::Targets,
            Some("variables") => Listed::Variables,
            _ => return Err("neither targets nor variables".to_owned()),
        };
        let format = match attributes.take("format").as_deref() {
            None | Some("table") => AnswerFormat::Text,
            Some("json") => AnswerFormat::Json,
            Some(_) => return Err("a format is table or json".to_owned()),
        };
        attributes.finish(&["type", "format"]).map_err(|error| error.to_string())?;
        Ok(Self { what, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn bake(words: &str) -> BakeArgs {
        let words: Vec<&str> = ["wythe", "bake"].into_iter().chain(words.split(' ')).collect();
        let Command::Bake(args) = Cli::of(&words).unwrap().command else { panic!("not bake") };
        *args
    }

    #[test]
    fn what_compose_and_the_action_call_is_taken() {
        let args = bake("--file - --progress rawjson --metadata-file m --allow fs.read=/x");
        assert_eq!(args.definition.files, ["-"]);
        assert!(args.targets.is_empty());
        let args = bake("-f a.hcl --set *.args.A=1 --push --no-cache=false --pull app db");
        assert_eq!(args.targets, ["app", "db"]);
        assert_eq!((args.no_cache, args.pull), (Some(false), Some(true)));
        assert_eq!((bake("app").no_cache, bake("app").pull), (None, None));
    }

    #[test]
    fn lists_have_forms() {
        let list = |text: &str| text.parse::<List>().map(|list| (list.what, list.format));
        assert_eq!(list("targets"), Ok((Listed::Targets, AnswerFormat::Text)));
        let json = Ok((Listed::Variables, AnswerFormat::Json));
        assert_eq!(list("type=variables,format=json"), json);
        assert!(list("all").is_err());
        assert!(list("targets,format=xml").is_err());
    }
}
