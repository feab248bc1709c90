//! What builds have in common that run side by side: a step that several of them need runs once.
//!
//! Builds of one process share their store anyway, so that what one has made is found by those that come
//! later. Here they also wait for what another one is making at that moment, and share one limit of
//! how many steps run at once. A directory that several are made from is looked at once.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use wythe_store::claims::{Claim, Claims};
use wythe_store::id::{CacheKey, ContentId};
use wythe_store::scan_record::RecordName;
use wythe_store::tree::entry::Tree;

/// The steps of builds that run side by side.
#[derive(Debug)]
pub struct SharedSteps {
    /// What is looked up and made now.
    claims: Claims<CacheKey>,
    /// What was made since these builds began: also for a build without cache it is new.
    made: Mutex<BTreeSet<CacheKey>>,
    /// How many steps may begin.
    free: Mutex<usize>,
    freed: Condvar,
    /// The directories that somebody looks at now, by what they are looked at for.
    looking: Claims<LookedFor>,
    /// What was found of them since these builds began.
    looked: Mutex<BTreeMap<LookedFor, Looked>>,
}

/// A directory, and all that decides which of its entries are looked at.
type LookedFor = ([u8; 16], [u8; 32]);

/// What a build found of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Looked {
    /// What its selections contain, by their identities.
    pub(crate) contents: BTreeMap<[u8; 32], ContentId>,
    /// Its files and the paths of its sockets, where they were read.
    pub(crate) files: Option<(Tree, Vec<String>)>,
}

impl SharedSteps {
    /// For builds that run at most `jobs` steps at once, taken together.
    pub fn new(jobs: NonZeroUsize) -> Self {
        Self {
            claims: Claims::default(),
            made: Mutex::default(),
            free: Mutex::new(jobs.get()),
            freed: Condvar::new(),
            looking: Claims::default(),
            looked: Mutex::default(),
        }
    }

    /// Waits until no other build looks at a directory for the same. What it has found is known then.
    pub(crate) fn glance(&self, record: &RecordName) -> Glance<'_> {
        let name = (record.directory, record.purpose);
        Glance { steps: self, name, _claim: self.looking.claim(name) }
    }

    /// Waits until no other build works on a step. What it has made is there to be found then.
    pub(crate) fn turn(&self, key: CacheKey) -> Turn<'_> {
        Turn { steps: self, key, _claim: self.claims.claim(key) }
    }
}

/// The right to look at a directory. Who has it waits for nothing else.
pub(crate) struct Glance<'c> {
    steps: &'c SharedSteps,
    name: LookedFor,
    _claim: Claim<'c, LookedFor>,
}

impl Glance<'_> {
    /// What another build has found.
    pub(crate) fn found(&self) -> Option<Looked> {
        lock(&self.steps.looked).get(&self.name).cloned()
    }

    /// Tells the others.
    pub(crate) fn keep(&self, looked: Looked) {
        lock(&self.steps.looked).insert(self.name, looked);
    }
}

/// The right to look for a step's result, and to make it.
pub(crate) struct Turn<'c> {
    steps: &'c SharedSteps,
    key: CacheKey,
    _claim: Claim<'c, CacheKey>,
}

impl Turn<'_> {
    /// Whether one of the builds has made it.
    pub(crate) fn is_made(&self) -> bool {
        lock(&self.steps.made).contains(&self.key)
    }

    /// Notes that it is made.
    pub(crate) fn made(&self) {
        lock(&self.steps.made).insert(self.key);
    }

    /// Waits until one more step may run. Who has a place waits for no turn, so that nobody waits in a
    /// circle.
    pub(crate) fn place(&self) -> Place<'_> {
        let mut free = lock(&self.steps.free);
        while *free == 0 {
            free = self.steps.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        Place(self.steps)
    }
}

/// The right to run one step.
pub(crate) struct Place<'c>(&'c SharedSteps);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *lock(&self.0.free) += 1;
        self.0.freed.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(number: u8) -> CacheKey {
        CacheKey::of(&[number])
    }

    #[test]
    fn a_step_of_many_builds_is_made_by_one_of_them() {
        let steps = SharedSteps::new(NonZeroUsize::new(4).unwrap());
        let (runs, at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for build in 0..32_u8 {
                let (steps, runs, at_once, most) = (&steps, &runs, &at_once, &most);
                scope.spawn(move || {
                    for number in [0, build % 8, 100 + build] {
                        let turn = steps.turn(key(number));
                        if turn.is_made() {
                            continue;
                        }
                        let _place = turn.place();
                        most.fetch_max(
                            at_once.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        runs.fetch_add(1, Ordering::SeqCst);
                        turn.made();
                        at_once.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(runs.load(Ordering::SeqCst), 8 + 32);
        assert!(most.load(Ordering::SeqCst) <= 4);
    }
}
