//! The commands, each a screenful: flags to options, one call, the result shown.

pub(crate) mod bake;
pub(crate) mod build;
pub(crate) mod buildx;
pub(crate) mod cache;
pub(crate) mod completion;
pub(crate) mod compose;
pub(crate) mod context;
pub(crate) mod copy;
pub(crate) mod copy_out;
pub(crate) mod copy_to_engine;
pub(crate) mod diff;
pub(crate) mod docker_plugin;
pub(crate) mod doctor;
pub(crate) mod du;
pub(crate) mod explain;
pub(crate) mod explore;
pub(crate) mod history;
pub(crate) mod images;
pub(crate) mod index;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod manifest;
pub(crate) mod manual;
pub(crate) mod past_builds;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rmi;
pub(crate) mod run;
pub(crate) mod save;
pub(crate) mod tag;
pub(crate) mod verify;
pub(crate) mod version;

use wythe_sandbox::enter::IdChoice;

use crate::args::bake::BakeArgs;
use crate::args::build::BuildArgs;
use crate::args::buildx::{BuildxArgs, BuildxCommand, ImagetoolsArgs, ImagetoolsCommand};
use crate::args::cache_mounts::CacheMountsArgs;
use crate::args::call::Method;
use crate::args::compose::{ComposeArgs, ComposeCommand};
use crate::args::copy_out::{CopyOutArgs, DiffArgs};
use crate::args::docker_groups::{
    BuilderGroup, ContextGroup, ImageGroup, ManifestGroup, SystemGroup,
};
use crate::args::explore::ExploreArgs;
use crate::args::global::ProgressForm;
use crate::args::history::HistoryGroup;
use crate::args::image::{
    CopyArgs, ExplainArgs, ImagesArgs, InspectArgs, LoadArgs, LoginArgs, LogoutArgs, PullArgs,
    PushArgs, RmiArgs, RunImageArgs, SaveArgs, TagArgs,
};
use crate::args::index::{IndexArgs, IndexCommand};
use crate::args::init::InitArgs;
use crate::args::isolation::IsolationArg;
use crate::args::kaniko::KanikoArgs;
use crate::args::store::{
    CompleteWordsArgs, CompletionArgs, DockerPluginArgs, DoctorArgs, DuArgs, ManualArgs, PruneArgs,
    VerifyArgs, VersionArgs,
};
use crate::args::switch::Switch;
use crate::failure::{Class, Failure};
use crate::namespaces::Namespaces;
use crate::session::Session;

/// What is to be done.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Bake(Box<BakeArgs>),
    Build(Box<BuildArgs>),
    #[command(hide = true)]
    Builder(BuilderGroup),
    #[command(hide = true)]
    Buildx(BuildxArgs),
    Cache(CacheMountsArgs),
    #[command(hide = true)]
    CompleteWords(CompleteWordsArgs),
    Completion(CompletionArgs),
    Compose(ComposeArgs),
    #[command(hide = true)]
    Context(ContextGroup),
    Copy(CopyArgs),
    #[command(name = "cp")]
    CopyOut(CopyOutArgs),
    Diff(DiffArgs),
    Doctor(DoctorArgs),
    Du(DuArgs),
    Explain(ExplainArgs),
    Explore(ExploreArgs),
    History(HistoryGroup),
    #[command(hide = true)]
    Image(ImageGroup),
    Images(ImagesArgs),
    Index(IndexArgs),
    Init(InitArgs),
    Inspect(InspectArgs),
    InstallDockerPlugin(DockerPluginArgs),
    Kaniko(KanikoArgs),
    Load(LoadArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    #[command(hide = true)]
    Manifest(ManifestGroup),
    Manual(ManualArgs),
    Prune(PruneArgs),
    Pull(PullArgs),
    Push(PushArgs),
    Rmi(RmiArgs),
    Run(Box<RunImageArgs>),
    Save(SaveArgs),
    #[command(hide = true)]
    System(SystemGroup),
    Tag(TagArgs),
    Verify(VerifyArgs),
    Version(VersionArgs),
}

impl Command {
    /// What is to be done, where a group of docker's calls a command of ours by another name.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few commands of docker's are ours")]
    pub(crate) fn resolved(self) -> Self {
        let args = match self {
            Self::Builder(group) => return group.resolved(),
            Self::Buildx(args) => args,
            Self::Image(group) => return group.resolved(),
            Self::System(group) => return group.resolved(),
            command => return command,
        };
        match args.command {
            BuildxCommand::Bake(args) => Self::Bake(Box::new(args.of_docker())),
            BuildxCommand::Build(args) => Self::Build(Box::new(args.of_docker())),
            BuildxCommand::Du(args) => Self::Du(args.du),
            BuildxCommand::Imagetools(ImagetoolsArgs {
                command: ImagetoolsCommand::Create(args),
            }) => Self::Index(IndexArgs { command: IndexCommand::Create(args.create) }),
            BuildxCommand::Prune(args) => Self::Prune(args.prune),
            command => Self::Buildx(BuildxArgs { command, ..args }),
        }
    }

    /// Whether it has to be root of a user namespace: it runs steps, or touches files of
    /// subordinate ids. Where there can be no such files there is nothing else to be root for.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "most commands only read and write files of ours"
    )]
    pub(crate) fn namespaces(&self) -> Namespaces {
        match self {
            Self::Build(args) if args.question().method != Method::Build => Namespaces::NotNeeded,
            // What the session enters then is no namespace.
            _ if self.isolation() == Some(IsolationArg::Chroot) => Namespaces::NotNeeded,
            Self::Build(args) if build::cached::is_possible(args) => Namespaces::PutOff,
            Self::Bake(args) if !args.builds() => Namespaces::NotNeeded,
            Self::Compose(ComposeArgs { command: ComposeCommand::Build(args), .. })
                if args.print.is_on() =>
            {
                Namespaces::NotNeeded
            }
            Self::Bake(_)
            | Self::Build(_)
            | Self::Cache(_)
            | Self::Compose(_)
            | Self::CopyOut(_)
            | Self::Du(_)
            | Self::Prune(_)
            | Self::Run(_)
            | Self::Verify(_) => Namespaces::ForSteps,
            _ => Namespaces::NotNeeded,
        }
    }

    /// Which ids it needs: what looks after a store does it with whatever its steps had.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most commands run no steps")]
    pub(crate) fn ids(&self) -> IdChoice {
        match self {
            Self::Cache(_) | Self::CopyOut(_) | Self::Du(_) | Self::Prune(_) | Self::Verify(_) => {
                IdChoice::Any
            }
            _ => self.isolation().map_or(IdChoice::Subordinate, IsolationArg::ids),
        }
    }

    /// How steps are to be kept apart, where it runs some.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most commands run no steps")]
    pub(crate) fn isolation(&self) -> Option<IsolationArg> {
        match self {
            Self::Bake(args) => Some(args.common.steps.isolation),
            Self::Build(args) => Some(args.run.steps.isolation),
            Self::Compose(ComposeArgs { command: ComposeCommand::Build(args), .. }) => {
                Some(args.common.steps.isolation)
            }
            Self::Run(args) => Some(args.steps.isolation),
            _ => None,
        }
    }

    /// Whether what it reads of the store is used thereby; to look after the store is no use.
    pub(crate) fn uses_images(&self) -> bool {
        let takes = matches!(
            self,
            Self::Bake(_)
                | Self::Build(_)
                | Self::Compose(_)
                | Self::Copy(_)
                | Self::Load(_)
                | Self::Pull(_)
        );
        takes
            || matches!(
                self,
                Self::CopyOut(_)
                    | Self::Diff(_)
                    | Self::Explore(_)
                    | Self::Push(_)
                    | Self::Run(_)
                    | Self::Save(_)
            )
    }

    /// The form of its progress, where it has a flag of its own for that.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most commands have no such flag")]
    pub(crate) fn progress(&self, told: ProgressForm) -> ProgressForm {
        let quiet = match self {
            Self::Compose(ComposeArgs { command: ComposeCommand::Build(args), .. }) => args.quiet,
            Self::Pull(args) => args.quiet,
            Self::Push(args) => args.quiet,
            _ => Switch::Off,
        };
        if quiet.is_on() { ProgressForm::Quiet } else { told }
    }

    /// Does it.
    pub(crate) fn run(&self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Bake(args) => bake::run(args, session),
            Self::Build(args) => build::run(args, session),
            Self::Buildx(args) => buildx::run(&args.command, session),
            Self::Cache(args) => cache::run(args, session),
            // Commands of ours under other names.
            Self::Builder(_) | Self::Image(_) | Self::System(_) => Ok(()),
            Self::CompleteWords(args) => completion::answer(args, session),
            Self::Completion(args) => completion::run(args, session),
            Self::Compose(args) => compose::run(args, session),
            Self::Context(args) => context::run(args, session),
            Self::Copy(args) => copy::run(args, session),
            Self::CopyOut(args) => copy_out::run(args, session),
            Self::Diff(args) => diff::run(args, session),
            Self::Doctor(args) => doctor::run(args, session),
            Self::Du(args) => du::run(args, session),
            Self::Explain(args) => explain::run(args, session),
            Self::Explore(args) => explore::run(args, session),
            Self::History(group) => past_builds::of_group(group, session),
            Self::Images(args) => images::run(args, session),
            Self::Index(args) => index::run(args, session),
            Self::Init(args) => init::run(args, session),
            Self::Inspect(args) => inspect::run(args, session),
            Self::InstallDockerPlugin(args) => docker_plugin::run(args, session),
            // A build is made of it before.
            Self::Kaniko(_) => Err(Failure::new(Class::Internal, "kaniko's flags were not read")),
            Self::Load(args) => load::run(args, session),
            Self::Login(args) => login::login(args, session),
            Self::Logout(args) => login::logout(args, session),
            Self::Manifest(args) => manifest::run(args, session),
            Self::Manual(args) => manual::run(args, session),
            Self::Prune(args) => prune::run(args, session),
            Self::Pull(args) => pull::run(args, session),
            Self::Push(args) => push::run(args, session),
            Self::Rmi(args) => rmi::run(args, session),
            Self::Run(args) => run::run(args, session),
            Self::Save(args) => save::run(args, session),
            Self::Tag(args) => tag::run(args, session),
            Self::Verify(args) => verify::run(args, session),
            Self::Version(args) => version::run(args, session),
        }
    }
}
