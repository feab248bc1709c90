//! The requests a client makes, told apart.

use std::fmt;
use std::str::FromStr;

/// What a request is for.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// `GET /v2/`.
    Ping,
    /// A request to the token service.
    Token,
    /// `HEAD` of a manifest.
    HeadManifest,
    /// `GET` of a manifest.
    GetManifest,
    /// `PUT` of a manifest.
    PutManifest,
    /// `HEAD` of a blob.
    HeadBlob,
    /// `GET` of a blob, from the registry or from its storage.
    GetBlob,
    /// `POST` that begins an upload or mounts a blob.
    BeginUpload,
    /// `PATCH` of an upload.
    Patch,
    /// `PUT` that ends an upload.
    PutBlob,
    /// `GET` of an upload: how far it is.
    UploadStatus,
    /// `DELETE` of an upload.
    Cancel,
    /// What refers to a manifest.
    Referrers,
    /// The tags of a repository.
    Tags,
    /// `DELETE` of a manifest or blob.
    Delete,
    /// Nothing that a registry knows.
    Other,
}

/// All of them, as they are called on the command line.
pub const STEPS: [(Step, &str); 16] = [
    (Step::Ping, "ping"),
    (Step::Token, "token"),
    (Step::HeadManifest, "head-manifest"),
    (Step::GetManifest, "get-manifest"),
    (Step::PutManifest, "put-manifest"),
    (Step::HeadBlob, "head-blob"),
    (Step::GetBlob, "get-blob"),
    (Step::BeginUpload, "begin-upload"),
    (Step::Patch, "patch"),
    (Step::PutBlob, "put-blob"),
    (Step::UploadStatus, "upload-status"),
    (Step::Cancel, "cancel"),
    (Step::Referrers, "referrers"),
    (Step::Tags, "tags"),
    (Step::Delete, "delete"),
    (Step::Other, "other"),
];

/// Actions of ECR that requests are, as policies name them.
pub(crate) const ACTIONS: [&str; 7] = [
    "ecr:BatchGetImage",
    "ecr:PutImage",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
];

impl Step {
    /// Those of them that it takes.
    pub(crate) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::HeadManifest | Self::GetManifest => &ACTIONS[..1],
            Self::PutManifest => &ACTIONS[1..2],
            Self::HeadBlob => &ACTIONS[2..3],
            Self::GetBlob => &ACTIONS[3..4],
            Self::BeginUpload => &ACTIONS[4..5],
            Self::Patch => &ACTIONS[5..6],
            Self::PutBlob => &ACTIONS[5..],
            Self::Ping
            | Self::Token
            | Self::UploadStatus
            | Self::Cancel
            | Self::Referrers
            | Self::Tags
            | Self::Delete
            | Self::Other => &[],
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = STEPS.iter().find(|(step, _)| step == self).map_or("other", |(_, name)| name);
        out.write_str(name)
    }
}

/// There is no step of this name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no step is called so")]
pub struct UnknownStep;

impl FromStr for Step {
    type Err = UnknownStep;

    fn from_str(text: &str) -> Result<Self, UnknownStep> {
        STEPS.iter().find(|(_, name)| *name == text).map(|(step, _)| *step).ok_or(UnknownStep)
    }
}
