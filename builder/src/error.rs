//! Why a build did not end in an image: a struct for where, an enum for why.

mod finding;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_dockerfile::lint::SettingsError;
use wythe_dockerfile::span::Span;
use wythe_sandbox::binfmt::EmulationError;
use wythe_sandbox::{Outcome, StepError};
use wythe_store::error::{ReadError, WriteError};
use wythe_store::image::save::SaveError;
use wythe_store::layer::files_error::MaterialiseError;
use wythe_store::layer::import::ImportError;
use wythe_store::layer::tar_write::WriteTarError;
use wythe_store::live::ensure::EnsureError;
use wythe_store::live::gather::GatherError;
use wythe_store::live::seal::SealError;
use wythe_store::live::whole::WholeError;

use crate::assemble::AssembleError;
use crate::context::error::ContextError;
use crate::copy::canvas::PathCause;
use crate::copy::error::{CopyError, Missing};
use crate::copy::mode::ModeError;
use crate::lower::LowerError;
use crate::user::AccountError;
use crate::view::ViewError;
use wythe_store::cache_mount::CacheError;

/// A build that did not end in an image.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct BuildError {
    /// The Dockerfile, and the place in it where that is known.
    pub place: SourceLocation,
    /// The step that failed, as progress shows it.
    pub step: Option<String>,
    /// Why.
    #[source]
    pub cause: BuildCause,
}

/// A place in a Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct SourceLocation {
    /// The Dockerfile's name as it was given.
    pub file: String,
    /// Its text.
    pub source: Arc<str>,
    /// The offending words.
    pub span: Option<Span>,
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildCause {
    /// The Dockerfile cannot be read as one.
    #[error("{}", .0.first().map_or("the Dockerfile is invalid", |one| &one.message))]
    Syntax(Vec<Diagnostic>),
    /// `BUILDKIT_DOCKERFILE_CHECK` cannot be read.
    #[error("BUILDKIT_DOCKERFILE_CHECK: {0}")]
    Checks(#[from] SettingsError),
    /// Findings of build checks, where `error=true` makes them one.
    #[error("{message}")]
    Violation {
        /// Which rules were violated.
        message: String,
        /// The findings.
        findings: Vec<Diagnostic>,
    },
    /// The Dockerfile says something impossible.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// A command ended badly.
    #[error(transparent)]
    Step(#[from] StepFailure),
    /// The sandbox could not be set up.
    #[error(transparent)]
    Sandbox(#[from] StepError),
    /// A step's architecture is another one, and nothing here emulates it.
    #[error("{}", .0)]
    Emulation(#[from] EmulationError),
    /// The context cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A COPY cannot be done.
    #[error("{}: {}", .0, .0.cause)]
    Copy(#[from] CopyError),
    /// A working directory cannot be made.
    #[error("cannot make the working directory {path:?}: {cause}")]
    Workdir {
        /// Its path.
        path: String,
        /// Why not.
        #[source]
        cause: PathCause,
    },
    /// A file would be none in the image, but take another one away.
    #[error(
        "cannot copy {path:?}: names that begin with .wh. mean in a layer that something is deleted"
    )]
    Mark {
        /// The path in the image.
        path: String,
    },
    /// A heredoc cannot be a file.
    #[error(transparent)]
    Heredoc(#[from] crate::copy::heredoc::HeredocError),
    /// A `--chmod` cannot be understood.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// A user or group is not known.
    #[error("{}: {}", .0, .0.cause)]
    Account(#[from] AccountError),
    /// An archive cannot be unpacked.
    #[error(transparent)]
    Add(#[from] crate::add::archive::AddError),
    /// Something remote cannot be had.
    #[error(transparent)]
    Remote(#[from] crate::remote::RemoteError),
    /// A cache mount cannot be had.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A path inside the root of a step cannot be followed.
    #[error(transparent)]
    View(#[from] ViewError),
    /// What a mount asks for is not there.
    #[error(transparent)]
    Mount(#[from] MountError),
    /// A base image could not be fetched.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A base image's layer is not one.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A layer's directory could not be made.
    #[error(transparent)]
    Directory(#[from] EnsureError),
    /// Bytes of a layer could not be had.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// A layer could not be unpacked.
    #[error(transparent)]
    Materialise(#[from] MaterialiseError),
    /// A layer could not be read back.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A directory could not be made a root file system, or what a step did to it not be read.
    #[error(transparent)]
    Whole(#[from] WholeError),
    /// A layer's archive could not be computed.
    #[error(transparent)]
    Tar(#[from] WriteTarError),
    /// The configuration could not be put together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The process has no descriptors left.
    #[error(transparent)]
    Descriptors(std::io::Error),
    /// The build was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The cache has no answer to a step, and none was [to be run](crate::options::Misses::Refuse).
    #[error("not all of it is in the cache")]
    Uncached,
    /// Something that is not supported yet.
    #[error("{0} is not supported yet")]
    Unsupported(&'static str),
}

/// A failure at a vertex.
#[derive(Debug)]
pub(crate) struct VertexError {
    /// Which vertex; `None` where no single one is to blame.
    pub(crate) vertex: Option<usize>,
    /// Why.
    pub(crate) cause: BuildCause,
}

impl From<BuildCause> for VertexError {
    fn from(cause: BuildCause) -> Self {
        Self { vertex: None, cause }
    }
}

/// A command that did not end well.
#[derive(Debug, thiserror::Error)]
#[error("process {command:?} did not complete successfully: {}", ended(*outcome))]
pub struct StepFailure {
    /// The command line.
    pub command: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Its last lines, secrets masked.
    pub output: Vec<String>,
    /// How long it ran.
    pub elapsed: Duration,
    /// That the disk it wrote to was full when it ended, if it was.
    #[source]
    pub full: Option<io::Error>,
}

/// A mount that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MountError {
    /// A required secret was not given.
    #[error("secret {id}: not found")]
    Secret {
        /// Its id.
        id: String,
    },
    /// A required agent was not given.
    #[error("no SSH key {id:?} forwarded from the client")]
    Ssh {
        /// Its id.
        id: String,
    },
    /// An agent was given and cannot be passed on.
    #[error("cannot pass the SSH agent {id:?} on: {error}")]
    Agent {
        /// Its id.
        id: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A bind mount's source is not there.
    #[error("{0}")]
    Source(Box<Missing>),
}

fn ended(outcome: Outcome) -> String {
    match outcome {
        Outcome::Exited(code) => format!("exit code: {code}"),
        Outcome::Signaled(9) => "killed by signal 9, possibly for want of memory".to_owned(),
        Outcome::Signaled(signal) => format!("killed by signal {signal}"),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::OutOfMemory(most) => {
            format!("out of memory: killed by the kernel at its limit of {most} bytes")
        }
        Outcome::TimedOut => "out of time: ended when its time was up".to_owned(),
        Outcome::MadeDevice => "ended for a device that it made".to_owned(),
    }
}
