//! The groups of docker's commands, as far as they are about images and what builds leave: scripts say
//! `docker image ls` where people say `docker images`.

use clap::{Args, Subcommand};

use super::build::BuildArgs;
use super::history::HistoryGroup;
use super::image::{
    HistoryArgs, ImagesArgs, InspectArgs, LoadArgs, PullArgs, PushArgs, RmiArgs, SaveArgs, TagArgs,
};
use super::store::{DuArgs, PruneArgs};
use super::switch::Switch;
use crate::command::Command;

/// Commands about images, as docker has them
#[derive(Debug, Args)]
pub(crate) struct ImageGroup {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    Build(Box<BuildArgs>),
    History(HistoryArgs),
    Inspect(InspectArgs),
    Load(LoadArgs),
    #[command(visible_alias = "list")]
    Ls(ImagesArgs),
    Prune(PruneArgs),
    Pull(PullArgs),
    Push(PushArgs),
    #[command(visible_alias = "remove")]
    Rm(RmiArgs),
    Save(SaveArgs),
    Tag(TagArgs),
}

/// Commands about the builder, as docker has them
#[derive(Debug, Args)]
pub(crate) struct BuilderGroup {
    #[command(subcommand)]
    command: BuilderCommand,
}

#[derive(Debug, Subcommand)]
enum BuilderCommand {
    Build(Box<BuildArgs>),
    Prune(PruneArgs),
}

/// Commands about the store, as docker has them
#[derive(Debug, Args)]
pub(crate) struct SystemGroup {
    #[command(subcommand)]
    command: SystemCommand,
}

#[derive(Debug, Subcommand)]
enum SystemCommand {
    Df(SystemDfArgs),
    Prune(SystemPruneArgs),
}

/// Show what takes up space in the store
#[derive(Debug, Args)]
struct SystemDfArgs {
    #[command(flatten)]
    du: DuArgs,
    #[arg(short, long, hide = true)]
    verbose: Switch,
}

/// Remove what no image and no recent build needs
#[derive(Debug, Args)]
struct SystemPruneArgs {
    #[command(flatten)]
    prune: PruneArgs,
    /// Accepted for scripts made for docker: there are no volumes
    #[arg(long, hide = true)]
    volumes: Switch,
}

/// Where docker's daemon is, which is not asked: there is one context
#[derive(Debug, Args)]
pub(crate) struct ContextGroup {
    #[command(subcommand)]
    pub(crate) command: ContextCommand,
}

/// What is asked of contexts.
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// List contexts: there is one
    #[command(visible_alias = "list")]
    Ls {
        /// Print names alone
        #[arg(short, long)]
        quiet: Switch,
    },
    /// Print the name of the context
    Show,
    /// Use a context: there is one, default
    Use {
        #[arg(value_parser = ["default"])]
        name: String,
    },
}

/// Commands about manifests in registries, as docker has them
#[derive(Debug, Args)]
pub(crate) struct ManifestGroup {
    #[command(subcommand)]
    pub(crate) command: ManifestCommand,
}

/// What is done with manifests.
#[derive(Debug, Subcommand)]
pub(crate) enum ManifestCommand {
    /// Print what a name of a registry stands for
    Inspect(ManifestInspectArgs),
    /// Refused: builds make indexes
    Annotate(RefusedWords),
    /// Refused: builds make indexes
    Create(RefusedWords),
    /// Refused: builds make indexes
    Push(RefusedWords),
    /// Refused: nothing is kept of manifests
    Rm(RefusedWords),
}

/// Print what a name of a registry stands for
#[derive(Debug, Args)]
pub(crate) struct ManifestInspectArgs {
    /// Which name
    pub(crate) name: String,
}

/// Whatever follows
#[derive(Debug, Args)]
pub(crate) struct RefusedWords {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl ImageGroup {
    /// The same as a command of ours.
    pub(crate) fn resolved(self) -> Command {
        match self.command {
            ImageCommand::Build(args) => Command::Build(args),
            ImageCommand::History(args) => {
                Command::History(HistoryGroup { builds: None, image: Some(args) })
            }
            ImageCommand::Inspect(args) => Command::Inspect(args),
            ImageCommand::Load(args) => Command::Load(args),
            ImageCommand::Ls(args) => Command::Images(args),
            ImageCommand::Prune(args) => Command::Prune(args),
            ImageCommand::Pull(args) => Command::Pull(args),
            ImageCommand::Push(args) => Command::Push(args),
            ImageCommand::Rm(args) => Command::Rmi(args),
            ImageCommand::Save(args) => Command::Save(args),
            ImageCommand::Tag(args) => Command::Tag(args),
        }
    }
}

impl BuilderGroup {
    /// The same as a command of ours.
    pub(crate) fn resolved(self) -> Command {
        match self.command {
            BuilderCommand::Build(args) => Command::Build(args),
            BuilderCommand::Prune(args) => Command::Prune(args),
        }
    }
}

impl SystemGroup {
    /// The same as a command of ours.
    pub(crate) fn resolved(self) -> Command {
        match self.command {
            SystemCommand::Df(args) => Command::Du(args.du),
            SystemCommand::Prune(args) => Command::Prune(args.prune),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;

    #[test]
    fn the_groups_of_docker_lead_to_our_commands() {
        let resolved = |words: &str| {
            let words: Vec<&str> = ["wythe"].into_iter().chain(words.split(' ')).collect();
            Cli::of(&words).unwrap().command.resolved()
        };
        assert!(matches!(resolved("image ls -q --filter dangling=true"), Command::Images(_)));
        assert!(matches!(resolved("image rm -f x"), Command::Rmi(_)));
        assert!(matches!(resolved("image build -t x ."), Command::Build(_)));
        assert!(matches!(resolved("builder prune -af"), Command::Prune(_)));
        assert!(matches!(resolved("system df -v"), Command::Du(_)));
        assert!(matches!(resolved("system prune -af --volumes"), Command::Prune(_)));
        assert!(matches!(resolved("context use default"), Command::Context(_)));
        assert!(Cli::of(&["wythe", "context", "use", "far"]).is_err());
    }

    #[test]
    fn the_page_of_docker_says_of_every_command_what_becomes_of_it() {
        let page = include_str!("../../../docs/docker.md");
        let definition = Cli::definition();
        for group in ["builder", "context", "image", "manifest", "system"] {
            for command in definition.find_subcommand(group).unwrap().get_subcommands() {
                let name = format!("`wythe {group} {}`", command.get_name());
                assert!(page.contains(&name), "{name} is not in docs/docker.md");
            }
        }
    }
}
