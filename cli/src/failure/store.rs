//! Errors of the store and of image sources as failures.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a cause that is new in a library has the common class until somebody thinks about it"
)]

use std::error::Error;

use wythe_store::error::{ReadCause, ReadError, WriteError};
use wythe_store::format::FormatError;
use wythe_store::gc::GcError;
use wythe_store::image::catalog::{OpenImageError, OpenImageProblem};
use wythe_store::image::recode::{RecodeCause, RecodeError};
use wythe_store::image::rootfs::{RootfsCause, RootfsError};
use wythe_store::image::save::SaveError;
use wythe_store::live::ensure::EnsureError;
use wythe_store::oci::document::{DocumentError, DocumentProblem};
use wythe_store::oci::layout::{LayoutError, LayoutProblem};
use wythe_store::oci::platform::ParsePlatformError;
use wythe_store::oci::reference::ParseReferenceError;
use wythe_store::oci::source::{SourceError, SourceErrorClass};
use wythe_store::open::{OpenCause, OpenError};

use super::code::ErrorCode;
use super::registry::{class_within, remedy_within};
use super::{Class, Failure};

pub(super) const VERIFY: &str = "`wythe verify` lists what is damaged";

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error.cause {
            ReadCause::Io(_) => Self::of(Class::Environment, &error),
            ReadCause::Newer(_) => Self::of(Class::Environment, &error).remedy(
                "use the newer version that wrote it, or give --store DIR another directory",
            ),
            _ => Self::of(Class::Damage, &error).remedy(VERIFY),
        }
    }
}

impl Failure {
    /// The same failure, which may come of a file of the store that cannot be read.
    pub(crate) fn for_want_of(self, error: &ReadError) -> Self {
        match self.class {
            Class::Damage | Class::Environment | Class::Internal => {
                let failure = self.because(error);
                Self { class: Class::Damage, ..failure }
                    .known_as(ErrorCode::StoreDamaged)
                    .remedy(VERIFY)
            }
            Class::Cancelled | Class::Network | Class::Space | Class::Step | Class::Usage => self,
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Read(error) => error.into(),
            WriteError::Format(format) => {
                Self::of(Class::Environment, &format).advised(remedy_of_format(&format))
            }
            WriteError::Io { .. } | WriteError::Source(_) | WriteError::Poisoned { .. } => {
                Self::of(Class::Environment, &error)
            }
            _ => Self::of(Class::Internal, &error),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match &error.cause {
            OpenCause::Recovery(WriteError::Read(ReadError {
                cause: ReadCause::Io(_), ..
            })) => Self::of(Class::Environment, &error),
            OpenCause::Recovery(WriteError::Read(_)) => {
                Self::of(Class::Damage, &error).remedy(VERIFY)
            }
            OpenCause::Format(FormatError::Malformed) => Self::of(Class::Damage, &error)
                .remedy("give --store DIR another directory, and remove this one"),
            OpenCause::Place(_) => Self::of(Class::Environment, &error)
                .remedy("give --store DIR, or WYTHE_STORE, a directory on a disk of this machine"),
            OpenCause::ForeignOwner { .. } | OpenCause::WritableByOthers { .. } => {
                Self::of(Class::Environment, &error).remedy("give --store DIR a directory of yours")
            }
            OpenCause::Format(format) => {
                Self::of(Class::Environment, &error).advised(remedy_of_format(format))
            }
            _ => Self::of(Class::Environment, &error),
        }
    }
}

/// What helps with a store that a newer version has made.
fn remedy_of_format(error: &FormatError) -> Option<&'static str> {
    match error {
        FormatError::TooNew { .. } | FormatError::UnknownFeature { .. } => {
            Some("use the newer version that made it, or give --store DIR another directory")
        }
        FormatError::ReadOnly { .. } => Some(
            "use the newer version that made it, or give --store DIR another directory; \
             `wythe save` still copies images out of it",
        ),
        _ => None,
    }
}

impl From<ParseReferenceError> for Failure {
    fn from(error: ParseReferenceError) -> Self {
        Self::of(Class::Usage, &error)
    }
}

impl From<ParsePlatformError> for Failure {
    fn from(error: ParsePlatformError) -> Self {
        Self::of(Class::Usage, &error)
    }
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self::of(Class::Damage, &error)
    }
}

impl From<LayoutError> for Failure {
    fn from(error: LayoutError) -> Self {
        let class = match error.problem {
            LayoutProblem::Io(_) => Class::Usage,
            _ => Class::Damage,
        };
        Self::of(class, &error)
    }
}

impl Failure {
    /// An image that cannot be had, with what tells about it.
    pub(super) fn of_source(source: &SourceError, error: &(dyn Error + 'static)) -> Self {
        let (class, remedy) = match source.class() {
            SourceErrorClass::Unauthorized => {
                (Class::Network, Some("`wythe login` stores credentials for a registry"))
            }
            SourceErrorClass::NotFound => (
                Class::Network,
                Some("check name and tag; for a private image, `wythe login` stores credentials"),
            ),
            SourceErrorClass::Network => {
                (Class::Network, Some("check the name of the registry and the network"))
            }
            SourceErrorClass::Refused => (Class::Damage, None),
            SourceErrorClass::Absent | SourceErrorClass::Unsupported => (Class::Usage, None),
            SourceErrorClass::Local => (Class::Environment, None),
        };
        let class = class_within(source).unwrap_or(class);
        let failure = Self::of(class, error).advised(remedy_within(source)).advised(remedy);
        match ErrorCode::of_source(source.class()) {
            Some(kind) => failure.known_as(kind),
            None => failure,
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::of_source(&error, &error)
    }
}

impl From<OpenImageError> for Failure {
    fn from(error: OpenImageError) -> Self {
        match error.problem {
            OpenImageProblem::NoPlatform(_) => Self::of(Class::Usage, &error),
            OpenImageProblem::NotAsPinned { .. } => {
                Self::of(Class::Damage, &error).remedy("`wythe pull` fetches what has the digest")
            }
            OpenImageProblem::Document(DocumentError {
                problem: DocumentProblem::MediaType { expected, .. },
                ..
            }) => Self::usage(format!("{} is not an image, but holds {expected}", error.name)),
            OpenImageProblem::Read(error) => error.into(),
            _ => Self::of(Class::Damage, &error).remedy(VERIFY),
        }
    }
}

impl From<SaveError> for Failure {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Source(error) => error.into(),
            SaveError::Read(error) => error.into(),
            SaveError::Write(error) => error.into(),
            SaveError::Transfer { .. } => Self::of(Class::Network, &error),
            _ => Self::of(Class::Damage, &error),
        }
    }
}

impl From<RecodeError> for Failure {
    fn from(error: RecodeError) -> Self {
        match error {
            RecodeError::Layer { cause: RecodeCause::Missing | RecodeCause::Read(_), .. } => {
                Self::of(Class::Damage, &error).remedy(VERIFY)
            }
            RecodeError::Write(error) => error.into(),
            _ => Self::of(Class::Environment, &error),
        }
    }
}

impl From<GcError> for Failure {
    fn from(error: GcError) -> Self {
        match error {
            GcError::Damaged(error) if matches!(error.cause, ReadCause::Newer(_)) => error.into(),
            GcError::Damaged(_) => Self::of(Class::Damage, &error).remedy(VERIFY),
            GcError::Write(error) => error.into(),
            _ => {
                Self::of(Class::Environment, &error).remedy("try again when other builds are done")
            }
        }
    }
}

impl From<RootfsError> for Failure {
    fn from(error: RootfsError) -> Self {
        match error.cause {
            RootfsCause::Write(_) => Self::of(Class::Environment, &error),
            _ => Self::of(Class::Damage, &error).remedy(VERIFY),
        }
    }
}

impl From<EnsureError> for Failure {
    fn from(error: EnsureError) -> Self {
        match error {
            EnsureError::Read(error) => error.into(),
            EnsureError::Write(error) => error.into(),
            EnsureError::Unpack(_) => Self::of(Class::Environment, &error),
            _ => Self::of(Class::Damage, &error).remedy(VERIFY),
        }
    }
}
