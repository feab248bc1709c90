//! Counts what is told of a build, for what is said of it in the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wythe_builder::progress::{Event, Hit, Progress, StepId};
use wythe_dockerfile::diagnostic::Diagnostic;
use wythe_store::oci::transfer::Direction;

use super::chain::Chains;
use super::stopwatch::Stopwatch;
use super::summary::BuildSummary;
use super::traffic::Traffic;

/// Hands on every event, and counts.
pub(crate) struct Tally<P> {
    progress: P,
    stopwatch: Stopwatch,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    steps: BTreeMap<StepId, StepEnd>,
    traffic: Traffic,
    chains: Chains,
    /// What was found in the Dockerfile.
    findings: Vec<Diagnostic>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StepEnd {
    Ran,
    Found(Hit, Duration),
}

impl<P> Tally<P> {
    /// Counts from now on.
    pub(crate) fn new(progress: P) -> Self {
        Self { progress, stopwatch: Stopwatch::start(), counts: Mutex::default() }
    }

    /// What was counted, without what caches have to add.
    pub(crate) fn summary(&self) -> BuildSummary {
        let counts = self.counts();
        let ends = || counts.steps.values();
        let stored = ends().filter_map(|end| match end {
            StepEnd::Found(Hit::Content | Hit::Definition, saved) => Some(*saved),
            StepEnd::Found(Hit::Cache, _) | StepEnd::Ran => None,
        });
        let stored: Vec<Duration> = stored.collect();
        let took = self.stopwatch.elapsed();
        BuildSummary {
            ran: ends().filter(|end| **end == StepEnd::Ran).count(),
            stored: stored.len(),
            cached: Vec::new(),
            fetched: counts.traffic.total(Direction::Pull),
            sent: counts.traffic.total(Direction::Push),
            saved: stored.iter().sum(),
            took,
            critical: counts.chains.critical(took),
        }
    }

    /// What was found in the Dockerfile, each once.
    pub(crate) fn findings(&self) -> Vec<Diagnostic> {
        self.counts().findings.clone()
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Progress> Progress for Tally<P> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not counted is handed on alone")]
    fn event(&self, event: &Event<'_>) {
        self.counts().chains.take(event, self.stopwatch.elapsed());
        match *event {
            // A build that begins again finds what it made before: that ran all the same.
            Event::Cached { step, hit, saved, .. } => {
                self.counts().steps.entry(step).or_insert(StepEnd::Found(hit, saved));
            }
            Event::Finished { step, .. } => {
                self.counts().steps.insert(step, StepEnd::Ran);
            }
            Event::Transferred { transfer } => {
                self.counts().traffic.take(&transfer);
            }
            Event::Warning { diagnostic } => {
                let findings = &mut self.counts().findings;
                if !findings.contains(diagnostic) {
                    findings.push(diagnostic.clone());
                }
            }
            _ => {}
        }
        self.progress.event(event);
    }

    fn is_curious(&self) -> bool {
        self.progress.is_curious()
    }

    fn asks_caches(&self) -> bool {
        self.progress.asks_caches()
    }
}

#[cfg(test)]
mod tests {
    use wythe_store::digest::Digest;
    use wythe_store::oci::transfer::{Transfer, TransferState};

    use super::*;

    #[test]
    fn a_step_counts_once_also_where_a_build_begins_again() {
        let tally = Tally::new(());
        let second = Duration::from_secs(1);
        let cached = |number, hit| Event::Cached {
            step: StepId(number),
            name: "",
            hit,
            saved: second,
            origin: None,
        };
        let finished = |number| Event::Finished { step: StepId(number), elapsed: second };
        for event in [
            cached(1, Hit::Cache),
            cached(2, Hit::Definition),
            finished(3),
            finished(1),
            cached(2, Hit::Definition),
            cached(3, Hit::Definition),
        ] {
            tally.event(&event);
        }
        let found = tally.summary();
        assert_eq!((found.ran, found.stored, found.saved), (2, 1, second));
    }

    #[test]
    fn bytes_count_that_have_passed() {
        let (tally, name) = (Tally::new(()), "r.example/app:1".parse().unwrap());
        let told = |direction, state, bytes| {
            let transfer = Transfer {
                direction,
                reference: &name,
                digest: Digest::of(b"blob"),
                state,
                bytes,
                size: 100,
            };
            tally.event(&Event::Transferred { transfer });
        };
        told(Direction::Pull, TransferState::Moving, 40);
        told(Direction::Pull, TransferState::Done, 100);
        told(Direction::Push, TransferState::Present, 0);
        let found = tally.summary();
        assert_eq!((found.fetched, found.sent), (100, 0));
    }
}
