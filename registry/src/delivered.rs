//! Which blobs were seen to, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wythe_store::digest::Digest;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::growing::GrowingContent;

/// Blobs that were sent to repositories or found there. Pushes that share it ask for each blob once, and
/// send it once, whichever comes first.
#[derive(Debug, Default)]
pub struct Delivered {
    places: Mutex<BTreeMap<Digest, BTreeMap<String, Arrival>>>,
    /// Those that are on their way to a repository while they grow.
    growing: Mutex<Vec<(String, Arc<dyn GrowingContent>)>>,
    /// What images consist of that were pushed to a repository.
    images: Mutex<BTreeMap<String, BTreeMap<Digest, Descriptor>>>,
    /// Hosts that were given up after as many attempts as there are.
    unreachable: Mutex<BTreeSet<String>>,
    /// One is no longer on its way.
    settled: Condvar,
}

/// How far a blob is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arrival {
    OnItsWay,
    /// It was there before anybody here sent it.
    Found,
    Sent,
}

/// A blob that somebody sees to. If they leave without a word, the next one may try.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    delivered: &'a Delivered,
    digest: Digest,
    place: &'a str,
}

/// A blob that somebody sends while it grows. If they leave without a word, it may be sent when it is complete.
#[derive(Debug)]
pub(crate) struct SendingGrowing<'a> {
    delivered: &'a Delivered,
    blob: Arc<dyn GrowingContent>,
    place: &'a str,
}

impl Delivered {
    /// Sees to a blob for a repository, as `host/name`; `None` if that is done. Waits for who is at it, also for another
    /// repository of the host: from there it can be mounted then, and is not sent twice.
    ///
    /// Whoever holds one must not ask for another.
    pub(crate) fn claim<'a>(&'a self, digest: Digest, place: &'a str) -> Option<Sending<'a>> {
        let mut places = self.lock();
        loop {
            if self.is_growing(&digest, place) {
                places = self.settled.wait(places).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let known = places.entry(digest).or_default();
            if let Some(Arrival::Found | Arrival::Sent) = known.get(place) {
                return None;
            }
            let mut near = known.iter().filter(|(other, _)| host_of(other) == host_of(place));
            if near.any(|(_, arrival)| *arrival == Arrival::OnItsWay) {
                places = self.settled.wait(places).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            known.insert(place.to_owned(), Arrival::OnItsWay);
            return Some(Sending { delivered: self, digest, place });
        }
    }

    /// Sees to a blob whose digest nobody knows yet. Who comes for it once that is known waits.
    pub(crate) fn claim_growing<'a>(
        &'a self,
        blob: Arc<dyn GrowingContent>,
        place: &'a str,
    ) -> SendingGrowing<'a> {
        self.growing().push((place.to_owned(), Arc::clone(&blob)));
        SendingGrowing { delivered: self, blob, place }
    }

    /// Whether it is sent to the host of this place while it grows.
    fn is_growing(&self, digest: &Digest, place: &str) -> bool {
        let is_it = |blob: &Arc<dyn GrowingContent>| {
            blob.descriptor().is_some_and(|found| found.digest == *digest)
        };
        self.growing().iter().any(|(to, blob)| host_of(to) == host_of(place) && is_it(blob))
    }

    fn growing(&self) -> MutexGuard<'_, Vec<(String, Arc<dyn GrowingContent>)>> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a host cannot be reached, however often it is tried.
    pub(crate) fn give_up(&self, host: &str) {
        self.unreachable().insert(host.to_owned());
    }

    /// Whether a host was given up before. It is given another chance.
    pub(crate) fn was_given_up(&self, host: &str) -> bool {
        self.unreachable().remove(host)
    }

    fn unreachable(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unreachable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repositories that have a blob.
    pub(crate) fn places(&self, digest: &Digest) -> Vec<String> {
        let places = self.lock();
        let known = places.get(digest).into_iter().flatten();
        let there = known.filter(|(_, arrival)| **arrival != Arrival::OnItsWay);
        there.map(|(place, _)| place.clone()).collect()
    }

    /// Whether a repository, as `host/name`, lacked a blob until it was sent there.
    pub(crate) fn was_sent(&self, digest: &Digest, place: &str) -> bool {
        let places = self.lock();
        places.get(digest).and_then(|known| known.get(place)) == Some(&Arrival::Sent)
    }

    /// Notes that a repository, as `host/name`, has an image of these blobs.
    pub(crate) fn pushed(&self, blobs: &[Descriptor], place: &str) {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let known = images.entry(place.to_owned()).or_default();
        known.extend(blobs.iter().map(|blob| (blob.digest, blob.clone())));
    }

    /// The blobs of images that were pushed to a repository, as `host/name`.
    pub(crate) fn of_images(&self, place: &str) -> Vec<Descriptor> {
        let images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.get(place).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Notes that a repository, as `host/name`, has a blob.
    pub(crate) fn found(&self, digest: Digest, place: &str) {
        self.lock().entry(digest).or_default().entry(place.to_owned()).or_insert(Arrival::Found);
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

/// The host of a place, which is `host/name`.
fn host_of(place: &str) -> &str {
    place.split_once('/').map_or(place, |(host, _)| host)
}

impl Sending<'_> {
    /// It was sent, and is there now.
    pub(crate) fn sent(self) {
        self.settle(Arrival::Sent);
    }

    /// It was there.
    pub(crate) fn found(self) {
        self.settle(Arrival::Found);
    }

    fn settle(self, arrival: Arrival) {
        let mut places = self.delivered.lock();
        places.entry(self.digest).or_default().insert(self.place.to_owned(), arrival);
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

impl SendingGrowing<'_> {
    /// It is there now, and is this.
    pub(crate) fn done(self, digest: Digest) {
        let mut places = self.delivered.lock();
        places.entry(digest).or_default().insert(self.place.to_owned(), Arrival::Sent);
    }
}

impl Drop for SendingGrowing<'_> {
    fn drop(&mut self) {
        let places = self.delivered.lock();
        self.delivered.growing().retain(|(_, blob)| !Arc::ptr_eq(blob, &self.blob));
        drop(places);
        self.delivered.settled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use wythe_store::oci::media_type::MediaType;

    use super::*;

    /// One that is complete already.
    #[derive(Debug)]
    struct Grown;

    impl GrowingContent for Grown {
        fn outgrows(&self, _: u64) -> bool {
            false
        }

        fn descriptor(&self) -> Option<Descriptor> {
            Some(Descriptor::of(MediaType::LAYER, b"blob"))
        }

        fn read_from(&self, at: u64) -> Box<dyn Read + Send + '_> {
            Box::new(&b"blob"[usize::try_from(at).unwrap()..])
        }
    }

    #[test]
    fn who_comes_for_what_is_sent_while_it_grows_waits_for_that() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        for arrives in [true, false] {
            let growing = delivered.claim_growing(Arc::new(Grown), "r.io/a");
            assert!(delivered.claim(digest, "q.io/b").is_some(), "elsewhere it is another's");
            assert!(delivered.claim(Digest::of(b"other"), "r.io/a").is_some());
            std::thread::scope(|scope| {
                let second = scope.spawn(|| delivered.claim(digest, "r.io/a").is_none());
                if arrives {
                    growing.done(digest);
                } else {
                    drop(growing);
                }
                assert_eq!(second.join().unwrap(), arrives, "otherwise it is theirs");
            });
            delivered.forget();
        }
    }

    #[test]
    fn a_blob_is_seen_to_by_one_at_a_time_and_once() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        let first = delivered.claim(digest, "r.io/a").unwrap();
        assert!(delivered.claim(digest, "q.io/b").is_some(), "elsewhere it is another's");
        std::thread::scope(|scope| {
            let second = scope.spawn(|| delivered.claim(digest, "r.io/a").is_none());
            assert!(delivered.places(&digest).is_empty());
            first.sent();
            assert!(second.join().unwrap(), "it waited, and then there was nothing to do");
        });
        assert_eq!(delivered.places(&digest), ["r.io/a"]);
    }

    #[test]
    fn another_repository_of_the_host_waits_for_what_it_can_mount() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        let first = delivered.claim(digest, "r.io/a").unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let claimed = delivered.claim(digest, "r.io/b").is_some();
                (claimed, delivered.places(&digest))
            });
            first.sent();
            assert_eq!(second.join().unwrap(), (true, vec!["r.io/a".to_owned()]));
        });
    }

    #[test]
    fn what_was_found_was_not_sent() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        delivered.claim(digest, "r.io/a").unwrap().found();
        delivered.claim(digest, "r.io/b").unwrap().sent();
        delivered.found(digest, "r.io/c");
        let sent = ["r.io/a", "r.io/b", "r.io/c"].map(|place| delivered.was_sent(&digest, place));
        assert_eq!(sent, [false, true, false]);
        assert_eq!(delivered.places(&digest), ["r.io/a", "r.io/b", "r.io/c"]);
    }

    #[test]
    fn what_was_given_up_is_the_next_ones() {
        let (delivered, digest) = (Delivered::default(), Digest::of(b"blob"));
        drop(delivered.claim(digest, "r.io/a"));
        delivered.claim(digest, "r.io/a").unwrap().sent();
        delivered.forget();
        assert!(delivered.claim(digest, "r.io/a").is_some());
    }
}
