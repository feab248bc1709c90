//! What stands between a build and the threads that write a cache.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wythe_store::id::CacheKey;
use wythe_store::patience::{Impatience, Patience};
use wythe_store::portable_action::PortableAction;
use wythe_store::portable_document::PortableDocument;

use super::{MadeStep, UploadError, Uploaded};

/// What is to be done, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

/// A result whose blob can be sent.
pub(super) type ReadyRecord = (CacheKey, PortableAction);

#[derive(Debug, Default)]
struct State {
    /// Steps that were not looked at yet.
    steps: Vec<MadeStep>,
    /// Steps that need not be looked at again: the cache has them, or they are on their way.
    seen: BTreeSet<CacheKey>,
    records: Vec<ReadyRecord>,
    documents: Vec<PortableDocument>,
    input: Input,
    /// How many requests are under way, and when one of them was last seen to come on.
    requests: usize,
    sign: Option<Instant>,
    end: Option<UploadEnd>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum UploadEnd {
    /// As it should, or with an error that says why.
    Finished(Result<Uploaded, UploadError>),
    /// A thread has panicked.
    Unforeseen,
}

/// Whether more will come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Input {
    /// More steps may come.
    #[default]
    Open,
    /// All steps are here.
    Complete,
    /// All records are.
    Prepared,
    /// Nobody waits for it any more.
    Abandoned,
}

/// A request to the cache, until this is dropped.
#[derive(Debug)]
pub(super) struct Request<'q>(&'q Queue);

impl Queue {
    pub(super) fn add(&self, steps: impl IntoIterator<Item = MadeStep>) {
        self.change(|state| state.steps.extend(steps));
    }

    pub(super) fn add_documents(&self, documents: Vec<PortableDocument>) {
        self.change(|state| state.documents.extend(documents));
    }

    /// The documents that were added.
    pub(super) fn documents(&self) -> Vec<PortableDocument> {
        std::mem::take(&mut self.state().documents)
    }

    /// Adds the last steps.
    pub(super) fn complete(&self, steps: Vec<MadeStep>) {
        self.change(|state| {
            state.steps.extend(steps);
            if state.input == Input::Open {
                state.input = Input::Complete;
            }
        });
    }

    pub(super) fn abandon(&self) {
        self.change(|state| state.input = Input::Abandoned);
    }

    /// All steps that are here by now and were not seen, each once; `None` when no more will come.
    pub(super) fn steps(&self) -> Option<Vec<MadeStep>> {
        let mut state = self.state();
        loop {
            if state.input == Input::Abandoned {
                return None;
            }
            let mut asked = BTreeSet::new();
            let mut steps = std::mem::take(&mut state.steps);
            steps.retain(|step| !state.seen.contains(&step.key) && asked.insert(step.key));
            if !steps.is_empty() {
                return Some(steps);
            }
            if state.input != Input::Open {
                return None;
            }
            state = self.wait_for_change(state);
        }
    }

    /// Notes that the cache has a step.
    pub(super) fn is_there(&self, key: CacheKey) {
        self.change(|state| state.seen.extend([key]));
    }

    /// Hands on the record of a step and that of its place; `false` if nobody wants them any more.
    pub(super) fn ready(&self, records: [ReadyRecord; 2]) -> bool {
        let mut wanted = true;
        self.change(|state| {
            state.seen.extend(records.iter().map(|(key, _)| *key));
            wanted = state.input != Input::Abandoned;
            state.records.extend(records);
        });
        wanted
    }

    /// Says that there will be no more records.
    pub(super) fn prepared(&self) {
        self.change(|state| {
            if state.input != Input::Abandoned {
                state.input = Input::Prepared;
            }
        });
    }

    /// All records that are here by now; `None` when no more will come.
    pub(super) fn records(&self) -> Option<Vec<ReadyRecord>> {
        let mut state = self.state();
        loop {
            if state.input == Input::Abandoned {
                return None;
            }
            let records = std::mem::take(&mut state.records);
            if !records.is_empty() {
                return Some(records);
            }
            if state.input == Input::Prepared {
                return None;
            }
            state = self.wait_for_change(state);
        }
    }

    /// Begins a request to the cache.
    pub(super) fn request(&self) -> Request<'_> {
        self.change(|state| {
            state.requests += 1;
            state.sign = Some(Instant::now());
        });
        Request(self)
    }

    /// Does a thread's work, and notes how it ended, also where it panics. The first end that is not just
    /// that there is no more to do counts.
    pub(super) fn ending(&self, work: impl FnOnce() -> Result<Option<Uploaded>, UploadError>) {
        let guard = PanicGuard(self);
        match work() {
            Ok(None) => {}
            Ok(Some(uploaded)) => self.end(UploadEnd::Finished(Ok(uploaded))),
            Err(error) => self.end(UploadEnd::Finished(Err(error))),
        }
        std::mem::forget(guard);
    }

    fn end(&self, end: UploadEnd) {
        self.change(|state| {
            state.end.get_or_insert(end);
            state.input = Input::Abandoned;
        });
    }

    /// How it ended, or why it is not waited for from now, or since it has shown a sign of life.
    pub(super) fn wait(&self, patience: &Patience) -> Result<UploadEnd, Impatience> {
        let begun = Instant::now();
        let mut state = self.state();
        loop {
            if let Some(end) = state.end.take() {
                return Ok(end);
            }
            let silent = state.sign.filter(|_| state.requests > 0);
            let left = patience.left(begun.min(silent.unwrap_or(begun)))?;
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn wait_for_change<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Request<'_> {
    /// Notes that it comes on.
    pub(super) fn comes_on(&self) {
        self.0.state().sign = Some(Instant::now());
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.requests -= 1;
            state.sign = Some(Instant::now());
        });
    }
}

/// Notes that a thread has panicked.
struct PanicGuard<'q>(&'q Queue);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        self.0.end(UploadEnd::Unforeseen);
    }
}
