//! What is kept of a build: when it was, what became of its steps and why, what they wrote, what it came to.
//!
//! A record is made of the events of a build by `recorder`, and kept as a file by `shelf`; everything else that
//! tells of past builds reads records. No value of a secret is in one (`discretion`).

pub(crate) mod bounds;
pub(crate) mod discretion;
pub(crate) mod file;
pub(crate) mod filter;
pub(crate) mod id;
pub(crate) mod log;
pub(crate) mod recorder;
pub(crate) mod recording;
pub(crate) mod shelf;
pub(crate) mod title;
pub(crate) mod waits;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::id::BuildId;

/// The version of the form. Raised when a field changes its meaning or goes; fields may be added.
pub(crate) const VERSION: u32 = 1;

/// A build. Times are microseconds: of moments since 1970, of steps since the build began.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct BuildRecord {
    pub(crate) version: u32,
    pub(crate) id: BuildId,
    /// What people call it: the context, and what of it was built.
    pub(crate) name: String,
    /// The version of this program.
    pub(crate) program: String,
    pub(crate) started: u64,
    pub(crate) duration: u64,
    pub(crate) status: BuildStatus,
    pub(crate) error: Option<RecordedError>,
    pub(crate) context: String,
    /// Where the context comes from, if it is a checkout: the host and path of its origin.
    pub(crate) repository: Option<String>,
    pub(crate) dockerfile: RecordedFile,
    pub(crate) targets: Vec<String>,
    pub(crate) platforms: Vec<String>,
    /// Build arguments; those whose names say that they are secret have no value.
    pub(crate) build_args: BTreeMap<String, Option<String>>,
    pub(crate) steps: Vec<RecordedStep>,
    pub(crate) transfers: Vec<RecordedTransfer>,
    /// What deserved attention.
    pub(crate) warnings: Vec<String>,
    pub(crate) results: Vec<RecordedResult>,
    /// The base images, as `REFERENCE@DIGEST`.
    pub(crate) materials: Vec<String>,
}

/// How a build ended, or that it has not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BuildStatus {
    Canceled,
    Completed,
    Failed,
    /// It ended without saying how: somebody killed it, or the machine went down.
    Lost,
    /// It is not over, or the record of one that is lost says so.
    Running,
}

/// Why a build failed.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedError {
    /// The class of the failure, as `docs/events.md` has it.
    pub(crate) class: String,
    /// The lines that were told.
    pub(crate) lines: Vec<String>,
}

/// A Dockerfile as it was.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedFile {
    pub(crate) name: String,
    pub(crate) path: Option<String>,
    pub(crate) text: String,
}

/// A step of the graph.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedStep {
    /// Its number in events.
    pub(crate) step: usize,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The line of the Dockerfile that asks for it.
    pub(crate) line: Option<usize>,
    /// The steps that it is made of, by number.
    pub(crate) inputs: Vec<usize>,
    pub(crate) outcome: Outcome,
    /// When it began and ended; none of both where its result was not needed.
    pub(crate) started: Option<u64>,
    pub(crate) ended: Option<u64>,
    /// Why it ran.
    pub(crate) why: Option<String>,
    /// How long it took when it ran, where that saved doing it again.
    pub(crate) saved: Option<u64>,
    pub(crate) layer: Option<RecordedLayer>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Base,
    Copy,
    Run,
    /// Nothing was told of it.
    Unknown,
    Workdir,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Its inputs differ from last time, but hold the same content.
    CachedByContent,
    /// Another machine has made it.
    CachedElsewhere,
    /// Its definition is known.
    Cached,
    Canceled,
    Failed,
    Ran,
    /// It was not over when the build was.
    Unfinished,
    /// Nobody needed its result, or only what a base image is.
    Unneeded,
}

/// The layer of a step.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedLayer {
    pub(crate) diff_id: String,
    /// The length of its tar stream, in bytes.
    pub(crate) size: u64,
}

/// What came from a registry for one image, or went there.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedTransfer {
    /// `pull` or `push`.
    pub(crate) direction: String,
    pub(crate) image: String,
    pub(crate) started: u64,
    pub(crate) ended: u64,
    /// How many blobs it is about, and the bytes of them that passed.
    pub(crate) blobs: usize,
    pub(crate) bytes: u64,
}

/// What a target came to.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub(crate) struct RecordedResult {
    pub(crate) target: String,
    pub(crate) digest: String,
    pub(crate) names: Vec<String>,
    pub(crate) platforms: Vec<String>,
}

/// How many steps there were.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct StepCount {
    pub(crate) total: usize,
    pub(crate) completed: usize,
    pub(crate) cached: usize,
}

impl BuildRecord {
    /// How many steps the images needed, and what became of them.
    pub(crate) fn count(&self) -> StepCount {
        let outcomes = self.steps.iter().map(|step| step.outcome);
        let needed: Vec<Outcome> =
            outcomes.filter(|outcome| *outcome != Outcome::Unneeded).collect();
        let cached = needed.iter().filter(|outcome| outcome.is_cached()).count();
        let ran = needed.iter().filter(|outcome| **outcome == Outcome::Ran).count();
        StepCount { total: needed.len(), completed: cached + ran, cached }
    }

    /// The step of a number.
    pub(crate) fn step(&self, number: usize) -> Option<&RecordedStep> {
        self.steps.iter().find(|step| step.step == number)
    }

    /// Whether it is known how it ended.
    pub(crate) fn is_over(&self) -> bool {
        !matches!(self.status, BuildStatus::Lost | BuildStatus::Running)
    }

    /// How long it took, or has taken until `now`, which is in microseconds since 1970; nobody knows of one that
    /// is lost.
    pub(crate) fn duration_until(&self, now: u64) -> Option<u64> {
        match self.status {
            BuildStatus::Lost => None,
            BuildStatus::Running => Some(now.saturating_sub(self.started)),
            BuildStatus::Canceled | BuildStatus::Completed | BuildStatus::Failed => {
                Some(self.duration)
            }
        }
    }

    /// When it ended, in microseconds since 1970.
    pub(crate) fn completed(&self) -> u64 {
        self.started.saturating_add(self.duration)
    }
}

impl RecordedStep {
    /// A step of which nothing is known but what it is called.
    pub(crate) fn new(step: usize, name: &str) -> Self {
        let (inputs, started, ended, why, saved, layer, line) = Default::default();
        let (kind, outcome) = (Kind::Unknown, Outcome::Unneeded);
        let name = name.to_owned();
        Self { step, name, kind, line, inputs, outcome, started, ended, why, saved, layer }
    }

    /// What became of it, in words for people: a base image is what it is.
    pub(crate) fn words(&self) -> &'static str {
        match (self.kind, self.outcome) {
            (Kind::Base, Outcome::Unneeded) => "a base image",
            (_, outcome) => outcome.words(),
        }
    }

    /// How long it ran.
    pub(crate) fn duration(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.started?))
    }
}

impl Outcome {
    /// Whether an earlier result stood in for it.
    pub(crate) fn is_cached(self) -> bool {
        matches!(self, Self::Cached | Self::CachedByContent | Self::CachedElsewhere)
    }

    /// In words for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::CachedByContent => "cached: its inputs hold what they held",
            Self::CachedElsewhere => "cached by another machine",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
            Self::Ran => "ran",
            Self::Unfinished => "not finished",
            Self::Unneeded => "not needed",
        }
    }
}

impl BuildStatus {
    /// As `buildx history inspect` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Running => "running",
        }
    }
}
