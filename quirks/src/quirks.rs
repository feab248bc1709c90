//! How a registry behaves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::fault::{Fault, take};

/// A peculiarity that is there or not.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Flag {
    /// A token is for the first scope that was asked for.
    FirstScopeOnly,
    /// The challenge names the token service by a path.
    RelativeRealm,
    /// Who shows no credentials gets a token to pull.
    Guests,
    /// Blobs are fetched from the storage.
    RedirectBlobs,
    /// `mount` without `from` is an error.
    MountNeedsFrom,
    /// Repositories have to be there before they are pushed to.
    NoCreate,
    /// After the first `PATCH` of an upload, nothing is told of those that follow.
    ChunkBug,
    /// `PATCH` is answered with 201.
    PatchCreated,
    /// Tags stay what they are.
    ImmutableTags,
    /// A subject has to be there before what refers to it.
    SubjectFirst,
    /// `OCI-Subject` is sent whether or not the referrers API works.
    SubjectLie,
    /// Only media types of OCI are taken.
    OciOnly,
    /// Manifests are given only to those who accept their very type.
    StrictAccept,
    /// Manifests are served as plain text.
    PlainType,
    /// `Docker-Content-Digest` is not sent.
    NoDigest,
    /// `HEAD` is not known.
    NoHead,
    /// `Range` is ignored.
    NoRanges,
    /// What a part is said to be is not what it is.
    WrongRange,
    /// `PATCH` is not known.
    NoPatch,
    /// The request that ends an upload may have no body.
    EmptyPut,
    /// Uploads cannot be cancelled.
    NoCancel,
    /// Of an upload that breaks nothing is kept.
    NoResume,
    /// The end of an upload is answered with 204.
    PutNoContent,
    /// Nothing can be deleted.
    NoDelete,
    /// Everything is over TLS, with a certificate of an authority of its own.
    Tls,
    /// The same, and clients have to show one.
    ClientCertificates,
}

/// How clients say who they are.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Door {
    /// Nobody is asked.
    #[default]
    Open,
    /// A password with each request.
    Basic,
    /// A token, for which a password is shown by `GET`.
    Bearer,
    /// A token, for which a password or identity token is shown by `POST`.
    Oauth,
}

/// How the place of an upload, or of the next page of a listing, is told.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Location {
    /// With scheme and host.
    #[default]
    Absolute,
    /// By its path.
    Relative,
    /// It is at the storage.
    OtherHost,
}

/// What becomes of a request to mount a blob.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mount {
    /// It is mounted.
    #[default]
    On,
    /// An upload is begun in its place.
    Off,
    /// It is answered with this status.
    Status(u16),
}

/// The referrers API.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Referrers {
    /// It is there.
    #[default]
    On,
    /// It is answered with 404.
    Off,
    /// It leads to a page where people sign in.
    Html,
}

/// What is said of when to come again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RetryAfter {
    /// Nothing.
    #[default]
    None,
    /// In so many seconds.
    Seconds(u64),
    /// The same as a date.
    Date(u64),
}

/// Connections that break after so many bytes of a body, so many times.
#[derive(Debug)]
pub struct Breaks {
    /// After how many bytes.
    pub after: u64,
    left: AtomicU64,
}

impl Breaks {
    /// Breaks of so many connections.
    pub fn new(after: u64, count: u64) -> Self {
        Self { after, left: AtomicU64::new(count) }
    }

    /// After how many bytes this connection breaks, where its body is longer than that.
    pub(crate) fn strike(&self, length: u64) -> Option<u64> {
        (self.after < length && take(&self.left)).then_some(self.after)
    }
}

impl Clone for Breaks {
    fn clone(&self) -> Self {
        Self::new(self.after, self.left.load(Ordering::Relaxed))
    }
}

/// How a registry behaves.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    flags: BTreeSet<Flag>,
    /// How clients say who they are.
    pub door: Door,
    /// The token service that the challenge names.
    pub realm: Option<String>,
    /// How long a token is good.
    pub token_ttl: Option<Duration>,
    /// How many requests a token is good for.
    pub token_uses: Option<u64>,
    /// How the place of an upload is told.
    pub location: Location,
    /// How the next page of a listing is told.
    pub links: Location,
    /// How many requests an address of the storage is good for.
    pub storage_uses: Option<u64>,
    /// What becomes of mounts.
    pub mount: Mount,
    /// The referrers API.
    pub referrers: Referrers,
    /// With which status a manifest is refused that has a subject.
    pub no_subject: Option<u16>,
    /// With which status a manifest is refused that has a subject and an `artifactType`.
    pub no_artifact_type: Option<u16>,
    /// Actions of ECR that nobody may.
    pub denied: Vec<String>,
    /// The longest body of a `PATCH` with a range.
    pub chunk_limit: Option<u64>,
    /// The shortest piece that the registry wants of an upload.
    pub min_chunk: Option<u64>,
    /// The longest body of any request for a blob.
    pub max_body: Option<u64>,
    /// The longest manifest.
    pub max_manifest: Option<u64>,
    /// Requests that are answered with 429 before any is done.
    pub busy: u64,
    /// What those answers say of when to come again.
    pub retry_after: RetryAfter,
    /// Manifests before each of which all blobs of their repository are collected.
    pub collected: u64,
    /// Downloads that break.
    pub resets: Option<Breaks>,
    /// Uploads that break.
    pub upload_resets: Option<Breaks>,
    /// Bytes of a blob in a second.
    pub rate: Option<u64>,
    /// How many entries a page of a listing has.
    pub page: Option<usize>,
    /// A warning in every answer.
    pub warning: Option<String>,
    /// How many pulls are said to be left.
    pub rate_limit: Option<u64>,
    /// What goes wrong on the wire.
    pub faults: Vec<Fault>,
}

impl Quirks {
    /// Whether it has a peculiarity.
    pub fn has(&self, flag: Flag) -> bool {
        self.flags.contains(&flag)
    }

    /// Gives it a peculiarity.
    pub fn add(&mut self, flag: Flag) {
        self.flags.insert(flag);
    }
}
