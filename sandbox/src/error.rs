//! Why a step could not be run at all.

use std::io;

/// A step could not be started; nothing of its command ran.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct StepError {
    /// What the sandbox was doing, such as `mounting proc` or `entering the working directory /w`.
    pub doing: String,
    /// Why that failed.
    #[source]
    pub cause: StepCause,
}

/// Why an operation on the way into a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepCause {
    /// The process has not called [`init`](crate::init), which steps need.
    #[error("the process is not in a user namespace of its own")]
    NotEntered,
    /// The container allows no namespaces, and something cannot be had without.
    #[error("{what} cannot be had without user namespaces, which this container does not allow")]
    NeedsNamespaces {
        /// What.
        what: String,
    },
    /// Nothing is left that could say whose things are.
    #[error("its programs would see one user only, for all others are emulated here")]
    NeedsIds,
    /// A word, path or variable of the step holds a NUL byte.
    #[error("contains a NUL byte")]
    Nul,
    /// The process that all steps depend on is gone.
    #[error("the process that keeps the steps of this program was killed")]
    NestLost,
    /// The step names no command.
    #[error("the command is empty")]
    NoCommand,
    /// Something outside of the step, whose processes are gone, can still write to its files.
    #[error(
        "a file of the step is still open for writing outside of it: one of its processes handed \
         it on, over a socket in a cache mount or on the network of this machine"
    )]
    HeldOpen,
    /// There are more layers than can be mounted.
    #[error("{count} layers are more than the kernel can stack (at most {most})")]
    TooManyLayers {
        /// How many there are.
        count: usize,
        /// How many there can be.
        most: usize,
    },
    /// Somebody the user namespace does not have.
    #[error("{kind} {id} is outside the ids that are mapped here ({mapped})")]
    Unmapped {
        /// Whether it is a user or a group.
        kind: &'static str,
        /// Its number.
        id: u32,
        /// Those that there are.
        mapped: String,
    },
    /// The kernel refused, and said more than a number.
    #[error("{source} ({message})")]
    Refused {
        /// The kernel's own words.
        message: String,
        /// The error number.
        source: io::Error,
    },
    /// The kernel refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StepCause {
    /// What helps, in one sentence, where it is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Unmapped { .. } => Some(
                "take a numeric id of that range, or give this account a longer one in /etc/subuid and /etc/subgid",
            ),
            Self::TooManyLayers { .. } => Some(
                "begin another stage with `FROM scratch` and `COPY --from=STAGE / /`, which makes one layer of all",
            ),
            Self::NeedsNamespaces { .. } => {
                Some("leave it out, or build where `wythe doctor` finds user namespaces")
            }
            Self::NeedsIds => {
                Some("build as a user with subordinate ids (`usermod --add-subuids`)")
            }
            Self::NotEntered
            | Self::Nul
            | Self::NoCommand
            | Self::HeldOpen
            | Self::NestLost
            | Self::Refused { .. }
            | Self::Io(_) => None,
        }
    }
}
