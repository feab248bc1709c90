//! The flags of `docker buildx`, as far as its commands are not ours under another name.

use clap::{Args, Subcommand};

use super::bake::BakeArgs;
use super::build::BuildArgs;
use super::call::AnswerFormat;
use super::format::template;
use super::history::BuildHistoryCommand;
use super::image::format;
use super::index::IndexCreateArgs;
use super::store::{DuArgs, PruneArgs, VersionArgs};
use super::switch::Switch;
use crate::template::Template;

/// The commands of docker buildx, for which this program is a plugin
#[derive(Debug, Args)]
pub(crate) struct BuildxArgs {
    /// Which builder of docker's: there is one here
    #[arg(long, global = true, hide = true, value_name = "NAME")]
    pub(crate) builder: Option<String>,
    /// Say more of the client's mistakes
    #[arg(short = 'D', long, global = true, hide = true)]
    pub(crate) debug: Switch,
    #[command(subcommand)]
    pub(crate) command: BuildxCommand,
}

/// What buildx is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildxCommand {
    #[command(visible_alias = "f")]
    Bake(Box<BakeArgs>),
    #[command(visible_alias = "b")]
    Build(Box<BuildArgs>),
    Create(CreateBuilderArgs),
    Du(BuildxDuArgs),
    History(BuildHistoryArgs),
    Imagetools(ImagetoolsArgs),
    Inspect(InspectBuilderArgs),
    /// Make docker build use this builder, which it does as long as the plugin is there
    Install,
    Ls(ListBuildersArgs),
    Prune(BuildxPruneArgs),
    Rm(RemoveBuildersArgs),
    Stop(StopBuilderArgs),
    /// Make docker build use docker's own builder again
    Uninstall,
    Use(UseBuilderArgs),
    Version(VersionArgs),
}

/// Give the builder a name, by which it is then known
#[derive(Debug, Args)]
pub(crate) struct CreateBuilderArgs {
    /// A context or an endpoint of docker's: builds happen here
    endpoint: Option<String>,
    /// What it is to be called
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Use it from now on, which happens anyway
    #[arg(long)]
    r#use: Switch,
    /// Start it: there is nothing to start
    #[arg(long)]
    bootstrap: Switch,
    #[arg(long, hide = true, value_name = "DRIVER")]
    driver: Option<String>,
    #[arg(long, hide = true, value_name = "OPTIONS")]
    driver_opt: Vec<String>,
    #[arg(long, hide = true, value_name = "FILE", alias = "config")]
    buildkitd_config: Option<String>,
    #[arg(
        long,
        hide = true,
        value_name = "FLAGS",
        alias = "buildkitd-flags",
        allow_hyphen_values = true
    )]
    flags: Option<String>,
    #[arg(long, hide = true)]
    append: Switch,
    #[arg(long, hide = true)]
    leave: Switch,
    #[arg(long, hide = true, value_name = "NAME")]
    node: Option<String>,
    #[arg(long, hide = true, value_name = "PLATFORM")]
    platform: Vec<String>,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

impl CreateBuilderArgs {
    /// The flags that say something of a builder that this one has not, in their order here.
    pub(crate) fn without_effect(&self) -> Vec<String> {
        let elsewhere =
            |driver: &&String| !matches!(driver.as_str(), "" | "docker" | "docker-container");
        let driver = self.driver.as_ref().filter(elsewhere);
        let mut named: Vec<String> =
            driver.iter().map(|driver| format!("--driver {driver}")).collect();
        let given = [
            ("--append", self.append.is_on()),
            ("--buildkitd-config", self.buildkitd_config.is_some()),
            ("--buildkitd-flags", self.flags.is_some()),
            ("--driver-opt", !self.driver_opt.is_empty()),
            ("--leave", self.leave.is_on()),
            ("--node", self.node.is_some()),
            ("--platform", !self.platform.is_empty()),
        ];
        named.extend(
            given.iter().filter(|(_, is_given)| *is_given).map(|(name, _)| (*name).to_owned()),
        );
        named.extend(self.endpoint.iter().map(|endpoint| format!("the endpoint {endpoint}")));
        named
    }
}

/// Show what takes up space
#[derive(Debug, Args)]
pub(crate) struct BuildxDuArgs {
    #[command(flatten)]
    pub(crate) du: DuArgs,
    #[arg(long, hide = true)]
    verbose: Switch,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

/// Remove what no image and no recent build needs
#[derive(Debug, Args)]
pub(crate) struct BuildxPruneArgs {
    #[command(flatten)]
    pub(crate) prune: PruneArgs,
    #[arg(long, hide = true)]
    verbose: Switch,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

/// Say what is known of past builds
#[derive(Debug, Args)]
pub(crate) struct BuildHistoryArgs {
    #[command(subcommand)]
    pub(crate) command: BuildHistoryCommand,
}

/// Commands on images in registries
#[derive(Debug, Args)]
pub(crate) struct ImagetoolsArgs {
    #[command(subcommand)]
    pub(crate) command: ImagetoolsCommand,
}

/// What is done with images in registries.
#[derive(Debug, Subcommand)]
pub(crate) enum ImagetoolsCommand {
    Create(ImagetoolsCreateArgs),
    Inspect(ImagetoolsInspectArgs),
}

/// Show what a name of a registry stands for
#[derive(Debug, Args)]
pub(crate) struct ImagetoolsInspectArgs {
    /// Which name
    pub(crate) name: String,
    /// Print the document as the registry has it
    #[arg(long, conflicts_with = "format")]
    pub(crate) raw: Switch,
    /// Print what a template makes of .Name, .Manifest, .Image, .Provenance and .SBOM
    #[arg(long, value_parser = template, value_name = "TEMPLATE")]
    pub(crate) format: Option<Template>,
}

/// Put images of registries under one name
#[derive(Debug, Args)]
pub(crate) struct ImagetoolsCreateArgs {
    #[command(flatten)]
    pub(crate) create: IndexCreateArgs,
    /// Accepted as far as it is so: what is made is an index
    #[arg(
        long,
        hide = true,
        value_parser = ["true", "1"],
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    prefer_index: Option<String>,
}

/// Say what the builder is
#[derive(Debug, Args)]
pub(crate) struct InspectBuilderArgs {
    /// What it is called
    #[arg(default_value = "default")]
    pub(crate) name: String,
    /// Start it: there is nothing to start
    #[arg(long)]
    bootstrap: Switch,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

/// List builders: there is one
#[derive(Debug, Args)]
pub(crate) struct ListBuildersArgs {
    /// Print a table or one JSON object per line
    #[arg(long, value_parser = list_format, default_value = "text", value_name = "table|json")]
    pub(crate) format: AnswerFormat,
    #[arg(long, hide = true)]
    no_trunc: Switch,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

/// Forget names of the builder; what was built stays
#[derive(Debug, Args)]
pub(crate) struct RemoveBuildersArgs {
    pub(crate) names: Vec<String>,
    #[arg(long, hide = true)]
    all_inactive: Switch,
    #[arg(short, long, hide = true)]
    force: Switch,
    #[arg(long, hide = true)]
    keep_daemon: Switch,
    #[arg(long, hide = true)]
    keep_state: Switch,
    #[arg(long, hide = true, value_name = "DURATION")]
    timeout: Option<String>,
}

/// Stop the builder, of which nothing runs
#[derive(Debug, Args)]
pub(crate) struct StopBuilderArgs {
    name: Option<String>,
}

/// Use the builder under a name
#[derive(Debug, Args)]
pub(crate) struct UseBuilderArgs {
    name: String,
    #[arg(long, hide = true)]
    default: Switch,
    #[arg(long, hide = true)]
    global: Switch,
}

fn list_format(text: &str) -> Result<AnswerFormat, &'static str> {
    match text {
        "table" => Ok(AnswerFormat::Text),
        text => format(text).map_err(|_| "neither table nor json"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::command::Command;

    fn buildx(words: &str) -> BuildxCommand {
        let words: Vec<&str> = ["wythe", "buildx"].into_iter().chain(words.split(' ')).collect();
        let Command::Buildx(args) = Cli::of(&words).unwrap().command else { panic!("not buildx") };
        args.command
    }

    #[test]
    fn what_the_actions_and_compose_call_is_taken() {
        for words in [
            "version",
            "create --name b --driver docker-container --buildkitd-flags --debug --use",
            "inspect --bootstrap --builder b",
            "inspect b",
            "--builder b build --iidfile i --metadata-file m -t x --progress rawjson .",
            "build --builder b --push=true --cache-to type=gha,mode=max -f f .",
            "ls --format json",
            "du --verbose --builder b",
            "prune -af --filter until=24h --builder b",
            "rm -f b",
            "history ls --no-trunc",
            "history logs ^0 --builder b",
            "history inspect --format json",
            "imagetools create -t r.example/a:1 r.example/a:amd64 r.example/a:arm64",
            "imagetools inspect --raw r.example/a:1",
        ] {
            buildx(words);
        }
    }

    #[test]
    fn what_a_builder_here_cannot_be_is_named() {
        let BuildxCommand::Create(create) =
            buildx("create --driver kubernetes --driver-opt replicas=2 tcp://far:1234")
        else {
            panic!("not create")
        };
        let expected = ["--driver kubernetes", "--driver-opt", "the endpoint tcp://far:1234"];
        assert_eq!(create.without_effect(), expected);
    }

    #[test]
    fn the_page_of_docker_says_of_every_command_what_becomes_of_it() {
        let page = include_str!("../../../docs/docker.md");
        let definition = Cli::definition();
        let group = definition.find_subcommand("buildx").unwrap();
        for command in group.get_subcommands() {
            let name = format!("`docker buildx {}`", command.get_name());
            assert!(page.contains(&name), "{name} is not in docs/docker.md");
        }
    }
}
