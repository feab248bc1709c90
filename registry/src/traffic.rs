//! What the clients of one process share, so that together they take no more than one of them may: room in memory,
//! turns at each host, the patience that a host asks for, and whether it speaks TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use url::Url;

use crate::profile;
use crate::settings::Timing;

/// Parts of blobs that wait in memory: 48 MiB in all, however many blobs are on their way.
const ROOMS: usize = 6;
/// After so many answers a host that was asked too often gets one request more at a time.
const EASING: u32 = 16;
/// How many things are told of a process: a registry could make up a new warning with every answer.
const MAX_TOLD: usize = 64;

/// What the clients of one process share.
#[derive(Debug, Default)]
pub struct Traffic {
    rooms: AtomicUsize,
    hosts: Mutex<BTreeMap<String, HostTraffic>>,
    /// A turn has ended.
    ended: Condvar,
    told: Mutex<BTreeSet<String>>,
    /// Where registries are that may do without TLS, as was found by asking.
    pub(crate) bases: Mutex<BTreeMap<String, Url>>,
}

/// What goes on at one host.
#[derive(Debug, Default)]
struct HostTraffic {
    /// Requests that wait for their answer.
    waiting: usize,
    /// How many may, since it was asked too often.
    fewer: Option<usize>,
    /// Answers since that changed.
    answers: u32,
    /// Until when it wants to be left alone.
    until: Option<Instant>,
}

/// Room for a part of a blob in memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room(Arc<Traffic>);

/// A turn at a host, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    traffic: &'a Traffic,
    host: &'a str,
}

impl Traffic {
    /// Room for one part more, if there is any.
    pub(crate) fn room(self: &Arc<Self>) -> Option<Room> {
        let taken = self.rooms.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
            (taken < ROOMS).then_some(taken + 1)
        });
        taken.ok().map(|_| Room(self.clone()))
    }

    /// Waits until a host may be asked something.
    pub(crate) fn turn<'a>(
        &'a self,
        host: &'a str,
        most: NonZeroUsize,
        timing: &dyn Timing,
    ) -> Turn<'a> {
        let most = most.get();
        let mut hosts = self.lock();
        loop {
            let own = hosts.entry(host.to_owned()).or_default();
            let now = timing.now();
            if let Some(rest) = own.until.and_then(|until| until.checked_duration_since(now))
                && !rest.is_zero()
            {
                drop(hosts);
                timing.sleep(rest);
                hosts = self.lock();
                continue;
            }
            if own.waiting < own.fewer.unwrap_or(most).min(most) {
                own.waiting += 1;
                return Turn { traffic: self, host };
            }
            hosts = self.ended.wait(hosts).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Notes that a host has answered.
    pub(crate) fn answered(&self, host: &str) {
        let mut hosts = self.lock();
        let Some(own) = hosts.get_mut(host) else { return };
        own.answers = own.answers.saturating_add(1);
        if EASING <= own.answers {
            own.answers = 0;
            own.fewer = own
                .fewer
                .map(|fewer| fewer + 1)
                .filter(|fewer| *fewer < profile::ANY.requests.get());
        }
    }

    /// Notes that a host was asked too often: half as many ask it from now on, after as long as it wants.
    pub(crate) fn refused(&self, host: &str, now: Instant, rest: Option<Duration>) {
        let mut hosts = self.lock();
        let own = hosts.entry(host.to_owned()).or_default();
        let until = rest.map(|rest| now + rest);
        own.until = own.until.max(until);
        (own.fewer, own.answers) = (Some((own.waiting / 2).max(1)), 0);
    }

    /// Whether something is told for the first time.
    pub(crate) fn is_new(&self, what: String) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MAX_TOLD && told.insert(what)
    }

    /// A panic while it is held leaves the map as it was.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, HostTraffic>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.rooms.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(own) = self.traffic.lock().get_mut(self.host) {
            own.waiting = own.waiting.saturating_sub(1);
        }
        self.traffic.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::timing::InstantTiming;

    #[test]
    fn room_is_for_so_many_and_comes_back() {
        let traffic = Arc::new(Traffic::default());
        let mut all: Vec<Room> = std::iter::from_fn(|| traffic.room()).collect();
        assert_eq!(all.len(), ROOMS);
        all.pop();
        assert!(traffic.room().is_some());
    }

    #[test]
    fn a_turn_is_waited_for_at_the_same_host_alone() {
        let (traffic, timing) = (Traffic::default(), InstantTiming::default());
        let most = NonZeroUsize::MIN;
        let first = traffic.turn("r.io", most, &timing);
        drop(traffic.turn("s.io", most, &timing));
        let got = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _second = traffic.turn("r.io", most, &timing);
                got.fetch_add(1, Ordering::SeqCst);
            });
            assert_eq!(traffic.lock()["r.io"].waiting, 1);
            assert_eq!(got.load(Ordering::SeqCst), 0);
            drop(first);
        });
        assert_eq!(got.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn everybody_leaves_a_host_alone_that_asks_one_of_them_to() {
        let (traffic, timing) = (Traffic::default(), InstantTiming::default());
        traffic.refused("r.io", timing.now(), Some(Duration::from_secs(7)));
        drop(traffic.turn("s.io", NonZeroUsize::MIN, &timing));
        assert!(timing.slept().is_empty());
        drop(traffic.turn("r.io", NonZeroUsize::MIN, &timing));
        drop(traffic.turn("r.io", NonZeroUsize::MIN, &timing));
        assert_eq!(timing.slept(), [Duration::from_secs(7)]);
    }

    #[test]
    fn a_host_that_was_asked_too_often_is_asked_less_and_then_more_again() {
        let (traffic, timing) = (Traffic::default(), InstantTiming::default());
        let turns: Vec<Turn<'_>> =
            (0..8).map(|_| traffic.turn("r.io", profile::ANY.requests, &timing)).collect();
        traffic.refused("r.io", timing.now(), None);
        drop(turns);
        assert_eq!(traffic.lock()["r.io"].fewer, Some(4));
        (0..EASING).for_each(|_| traffic.answered("r.io"));
        assert_eq!(traffic.lock()["r.io"].fewer, Some(5));
        (0..EASING * 20).for_each(|_| traffic.answered("r.io"));
        assert_eq!(traffic.lock()["r.io"].fewer, None);
    }

    #[test]
    fn what_was_told_is_told_once_and_not_without_end() {
        let traffic = Traffic::default();
        assert!(traffic.is_new("a".to_owned()) && !traffic.is_new("a".to_owned()));
        let told = (0..1000).filter(|number| traffic.is_new(number.to_string())).count();
        assert_eq!(told, MAX_TOLD - 1);
    }
}
