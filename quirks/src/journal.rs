//! What was asked: a line for each request, and the sums.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::step::Step;

/// Whom a request went to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The registry, and its token service.
    Registry,
    /// Where redirects and uploads may lead to. It wants no credentials.
    Storage,
}

/// A request that was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Whom it went to.
    pub origin: Origin,
    /// What it was for.
    pub step: Step,
    /// The method.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// The status of the answer; 0 where the connection was reset before one.
    pub status: u16,
    /// Bytes of its body that were read.
    pub received: u64,
    /// Bytes of the answer's body that were sent.
    pub sent: u64,
    /// Whether it showed credentials.
    pub credentials: Shown,
}

/// Whether credentials were shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shown {
    /// None.
    No,
    /// Some, good or not.
    Yes,
}

/// The sums of a journal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// Requests of each step.
    pub requests: BTreeMap<Step, u64>,
    /// Bytes of blobs that came in, those of broken uploads included.
    pub blob_bytes_in: u64,
    /// Bytes of blobs that went out.
    pub blob_bytes_out: u64,
    /// Requests that showed credentials to the storage.
    pub strays: u64,
}

impl Counts {
    /// How many requests of a step there were.
    pub fn of(&self, step: Step) -> u64 {
        self.requests.get(&step).copied().unwrap_or_default()
    }

    fn add(&mut self, entry: &Entry) {
        *self.requests.entry(entry.step).or_default() += 1;
        if matches!(entry.step, Step::Patch | Step::PutBlob) {
            self.blob_bytes_in += entry.received;
        }
        if entry.step == Step::GetBlob {
            self.blob_bytes_out += entry.sent;
        }
        self.strays +=
            u64::from(entry.origin == Origin::Storage && entry.credentials == Shown::Yes);
    }

    pub(crate) fn json(&self) -> Value {
        let steps = self.requests.iter().map(|(step, count)| (step.to_string(), json!(count)));
        json!({
            "requests": steps.collect::<serde_json::Map<_, _>>(),
            "blob_bytes_in": self.blob_bytes_in,
            "blob_bytes_out": self.blob_bytes_out,
            "strays": self.strays,
        })
    }
}

impl Entry {
    fn json(&self) -> Value {
        json!({
            "origin": match self.origin { Origin::Registry => "registry", Origin::Storage => "storage" },
            "step": self.step.to_string(),
            "method": self.method,
            "target": self.target,
            "status": self.status,
            "received": self.received,
            "sent": self.sent,
            "credentials": self.credentials == Shown::Yes,
        })
    }
}

/// What was asked of a server.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
    counts: Counts,
    file: Option<File>,
}

impl Journal {
    /// An empty one, which is written to a file, too, where there is one.
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { state: Mutex::new(State { file, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, entry: Entry) {
        let mut state = self.state();
        if let Some(file) = &mut state.file {
            // The journal is for people to read; the registry goes on without.
            let _ = writeln!(file, "{}", entry.json());
        }
        state.counts.add(&entry);
        state.entries.push(entry);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }
}
