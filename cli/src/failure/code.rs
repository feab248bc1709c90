//! Codes of failures: people find a page by them, and programs tell kinds apart. A code never becomes that of
//! another kind.

use std::error::Error;

use wythe_aws::error::{AwsError, AwsProblem};
use wythe_builder::context::error::{ContextCause, ContextError};
use wythe_builder::copy::error::{CopyCause, CopyError};
use wythe_builder::error::BuildCause;
use wythe_builder::lower::{LowerCause, LowerError};
use wythe_builder::remote::{RemoteError, RemoteProblem};
use wythe_registry::error::RegistryProblem;
use wythe_sandbox::InitError;
use wythe_sandbox::error::StepCause;
use wythe_store::error::{ReadCause, ReadError};
use wythe_store::format::FormatError;
use wythe_store::image::catalog::{OpenImageError, OpenImageProblem};
use wythe_store::oci::document::DocumentProblem;
use wythe_store::oci::reference::ParseReferenceError;
use wythe_store::oci::source::SourceErrorClass;
use wythe_store::open::OpenCause;

/// A kind of failure that has a page.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum ErrorCode {
    Certificate,
    ChecksFailed,
    Credentials,
    Definition,
    Denied,
    DigestMismatch,
    DiskBroken,
    HeldOpen,
    IgnoreFile,
    ImageName,
    ImageNotFound,
    ImageNotHere,
    Impossible,
    MissingSource,
    NewerStore,
    NoIsolation,
    NoSpace,
    PlainHttp,
    RemoteSource,
    ServerFailed,
    Settings,
    StepFailed,
    StoreDamaged,
    StoreOfOthers,
    StorePlace,
    Syntax,
    TagTaken,
    TooManyRequests,
    Unreachable,
}

/// A code with what it is called and its page.
macro_rules! page {
    ($code:ident, $name:literal) => {
        (ErrorCode::$code, $name, include_str!(concat!("../../../docs/errors/", $name, ".md")))
    };
}

/// Every code, in the order of names: 1 the Dockerfile and the command line, 2 steps, 3 the network, 4 this machine,
/// 5 space, 6 damage.
const PAGES: [(ErrorCode, &str, &str); 29] = [
    page!(Syntax, "E0101"),
    page!(MissingSource, "E0102"),
    page!(Impossible, "E0103"),
    page!(IgnoreFile, "E0104"),
    page!(Settings, "E0105"),
    page!(Definition, "E0106"),
    page!(ImageNotHere, "E0107"),
    page!(ImageName, "E0108"),
    page!(StepFailed, "E0201"),
    page!(ChecksFailed, "E0202"),
    page!(HeldOpen, "E0203"),
    page!(ImageNotFound, "E0301"),
    page!(Denied, "E0302"),
    page!(Unreachable, "E0303"),
    page!(Certificate, "E0304"),
    page!(PlainHttp, "E0305"),
    page!(TooManyRequests, "E0306"),
    page!(ServerFailed, "E0307"),
    page!(TagTaken, "E0308"),
    page!(RemoteSource, "E0309"),
    page!(NoIsolation, "E0401"),
    page!(NewerStore, "E0402"),
    page!(StorePlace, "E0403"),
    page!(StoreOfOthers, "E0404"),
    page!(Credentials, "E0405"),
    page!(NoSpace, "E0501"),
    page!(StoreDamaged, "E0601"),
    page!(DigestMismatch, "E0602"),
    page!(DiskBroken, "E0603"),
];

impl ErrorCode {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        let known = PAGES.iter().find(|(code, ..)| *code == self);
        known.map(|(_, name, _)| *name).expect("a test goes through all codes")
    }

    /// The page of a code, by its name in letters of any case.
    pub(crate) fn page(name: &str) -> Option<&'static str> {
        let known = PAGES.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(.., page)| *page)
    }

    /// What all codes are called.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        PAGES.iter().map(|(_, name, _)| *name)
    }

    /// That of an image that cannot be had, where a class is all that is known.
    pub(super) fn of_source(class: SourceErrorClass) -> Option<Self> {
        match class {
            SourceErrorClass::Network => Some(Self::Unreachable),
            SourceErrorClass::NotFound => Some(Self::ImageNotFound),
            SourceErrorClass::Unauthorized => Some(Self::Denied),
            SourceErrorClass::Absent
            | SourceErrorClass::Local
            | SourceErrorClass::Refused
            | SourceErrorClass::Unsupported => None,
        }
    }
}

/// Whether a word is called like a code.
pub(crate) fn is_code(word: &str) -> bool {
    let digits = word.strip_prefix(['E', 'e']);
    digits
        .is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The code of one error, without its causes.
pub(super) fn of(error: &(dyn Error + 'static)) -> Option<ErrorCode> {
    if let Some(cause) = error.downcast_ref::<BuildCause>() {
        return of_build(cause);
    }
    if let Some(problem) = error.downcast_ref::<RegistryProblem>() {
        return of_registry(problem);
    }
    if let Some(cause) = error.downcast_ref::<OpenCause>() {
        return of_opening(cause);
    }
    if let Some(error) = error.downcast_ref::<ReadError>() {
        return of_reading(&error.cause);
    }
    if let Some(error) = error.downcast_ref::<OpenImageError>() {
        let is_other = matches!(error.problem, OpenImageProblem::NotAsPinned { .. });
        return is_other.then_some(ErrorCode::DigestMismatch);
    }
    if let Some(error) = error.downcast_ref::<FormatError>() {
        return of_format(error);
    }
    if let Some(error) = error.downcast_ref::<AwsError>() {
        return of_aws(error);
    }
    if error.is::<InitError>() {
        return Some(ErrorCode::NoIsolation);
    }
    if let Some(DocumentProblem::Digest { .. }) = error.downcast_ref() {
        return Some(ErrorCode::DigestMismatch);
    }
    error.is::<ParseReferenceError>().then_some(ErrorCode::ImageName)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare has no page")]
fn of_build(cause: &BuildCause) -> Option<ErrorCode> {
    match cause {
        BuildCause::Context(ContextError { cause: ContextCause::Ignore(_), .. }) => {
            Some(ErrorCode::IgnoreFile)
        }
        BuildCause::Copy(CopyError { cause: CopyCause::Missing(_), .. }) => {
            Some(ErrorCode::MissingSource)
        }
        BuildCause::Lower(LowerError { cause: LowerCause::Input(_), .. }) => {
            Some(ErrorCode::Impossible)
        }
        BuildCause::Read(error) => of_reading(&error.cause),
        BuildCause::Remote(RemoteError { problem: RemoteProblem::Checksum { .. }, .. }) => {
            Some(ErrorCode::DigestMismatch)
        }
        BuildCause::Remote(_) => Some(ErrorCode::RemoteSource),
        BuildCause::Sandbox(error) => match error.cause {
            StepCause::HeldOpen => Some(ErrorCode::HeldOpen),
            StepCause::NotEntered => Some(ErrorCode::NoIsolation),
            _ => None,
        },
        BuildCause::Step(_) => Some(ErrorCode::StepFailed),
        BuildCause::Syntax(_) => Some(ErrorCode::Syntax),
        BuildCause::Violation { .. } => Some(ErrorCode::ChecksFailed),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare has no page")]
fn of_registry(problem: &RegistryProblem) -> Option<ErrorCode> {
    match problem {
        RegistryProblem::Certificate(_) => Some(ErrorCode::Certificate),
        RegistryProblem::Credentials(_) => Some(ErrorCode::Credentials),
        RegistryProblem::Denied { .. } | RegistryProblem::Unchallenged { .. } => {
            Some(ErrorCode::Denied)
        }
        RegistryProblem::Digest { .. } => Some(ErrorCode::DigestMismatch),
        RegistryProblem::PlainHttp => Some(ErrorCode::PlainHttp),
        RegistryProblem::Status { status: 429, .. } => Some(ErrorCode::TooManyRequests),
        RegistryProblem::Status { status: 500.., .. } => Some(ErrorCode::ServerFailed),
        RegistryProblem::TagTaken { .. } => Some(ErrorCode::TagTaken),
        RegistryProblem::Transport { .. } => Some(ErrorCode::Unreachable),
        _ => None,
    }
}

/// A request without an answer has the code of that.
fn of_aws(error: &AwsError) -> Option<ErrorCode> {
    let is_of_keys = matches!(error.problem, AwsProblem::Keys { .. } | AwsProblem::NoKeys { .. });
    if is_of_keys {
        return Some(ErrorCode::Credentials);
    }
    if error.is_throttling() {
        return Some(ErrorCode::TooManyRequests);
    }
    error.status().filter(|status| 500 <= *status).map(|_| ErrorCode::ServerFailed)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare has no page")]
fn of_opening(cause: &OpenCause) -> Option<ErrorCode> {
    match cause {
        OpenCause::ForeignOwner { .. } | OpenCause::WritableByOthers { .. } => {
            Some(ErrorCode::StoreOfOthers)
        }
        OpenCause::Format(error) => of_format(error),
        OpenCause::Place(_) => Some(ErrorCode::StorePlace),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare has no page")]
fn of_format(error: &FormatError) -> Option<ErrorCode> {
    match error {
        FormatError::Malformed => Some(ErrorCode::StoreDamaged),
        FormatError::ReadOnly { .. }
        | FormatError::TooNew { .. }
        | FormatError::UnknownFeature { .. } => Some(ErrorCode::NewerStore),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is rare has no page")]
fn of_reading(cause: &ReadCause) -> Option<ErrorCode> {
    match cause {
        ReadCause::Io(_) => None,
        ReadCause::Newer(_) => Some(ErrorCode::NewerStore),
        _ => Some(ErrorCode::StoreDamaged),
    }
}

#[cfg(test)]
mod tests;
