//! Which blobs were seen to, and where.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use wythe_store::digest::Digest;

/// Blobs that were sent to repositories or found there. Pushes that share it ask for each blob once, and
/// send it once, whichever comes first.
#[derive(Debug, Default)]
pub struct Delivered {
    places: Mutex<BTreeMap<Digest, BTreeMap<String, Arrival>>>,
    /// One is no longer on its way.
    settled: Condvar,
}

/// How far a blob is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arrival {
    OnItsWay,
    There,
}

/// A blob that somebody sees to. If they leave without a word, the next one may try.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    delivered: &'a Delivered,
    digest: Digest,
    place: &'a str,
}

impl Delivered {
    /// Sees to a blob for a repository, as `host/name`; `None` if that is done. Waits for who is at it.
    pub(crate) fn claim<'a>(&'a self, digest: Digest, place: &'a str) -> Option<Sending<'a>> {
        let mut places = self.lock();
        loop {
            let known = places.entry(digest).or_default();
            match known.get(place) {
                Some(Arrival::There) => return None,
                Some(Arrival::OnItsWay) => {
                    places = self.settled.wait(places).unwrap_or_else(PoisonError::into_inner);
                }
                None => {
                    known.insert(place.to_owned(), Arrival::OnItsWay);
                    return Some(Sending { delivered: self, digest, place });
                }
            }
        }
    }

    /// The repositories that have a blob.
    pub(crate) fn places(&self, digest: &Digest) -> Vec<String> {
        let places = self.lock();
        let known = places.get(digest).into_iter().flatten();
        let there = known.filter(|(_, arrival)| **arrival == Arrival::There);
        there.map(|(place, _)| place.clone()).collect()
    }

    /// Notes that a repository, as `host/name`, has a blob.
    pub(crate) fn found(&self, digest: Digest, place: &str) {
        self.lock().entry(digest).or_default().entry(place.to_owned()).or_insert(Arrival::There);
    }

    /// Takes nothing for delivered any more.
    pub fn forget(&self) {
        for known in self.lock().values_mut() {
            known.retain(|_, arrival| *arrival == Arrival::OnItsWay);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, BTreeMap<String, Arrival>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sending<'_> {
    /// It is there now.
    pub(crate) fn done(self) {
        let mut places = self.delivered.lock();
        places.entry(self.digest).or_default().insert(self.place.to_owned(), Arrival::There);
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if let Some(known) = self.delivered.lock().get_mut(&self.digest)
            && known.get(self.place) == Some(&Arrival::OnItsWay)
        {
            known.remove(self.place);
        }
        self.delivered.settled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_seen_to_by_one_at_a_time_and_once() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        let first = delivered.claim(digest, "r.io/a").unwrap();
        assert!(delivered.claim(digest, "r.io/b").is_some(), "elsewhere it is another's");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| delivered.claim(digest, "r.io/a").is_none());
            assert!(delivered.places(&digest).is_empty());
            first.done();
            assert!(second.join().unwrap(), "it waited, and then there was nothing to do");
        });
        assert_eq!(delivered.places(&digest), ["r.io/a"]);
    }

    #[test]
    fn what_was_given_up_is_the_next_ones() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        drop(delivered.claim(digest, "r.io/a"));
        delivered.claim(digest, "r.io/a").unwrap().done();
        delivered.forget();
        assert!(delivered.claim(digest, "r.io/a").is_some());
    }
}
