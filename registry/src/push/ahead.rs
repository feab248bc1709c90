//! Blobs that leave before the image is known, or themselves are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wythe_store::image::encode::{Leaving, Told};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::growing::GrowingContent;
use wythe_store::oci::reference::Reference;

use super::{BlobHolders, Outbox, PARALLEL, Target};
use crate::client::{Inner, Repository, Rights};
use crate::error::RegistryError;
use crate::learned::Habit;
use crate::manifest;
use crate::objects::place_of;
use crate::upload::{Destination, GrowingUpload};

/// A blob that becomes longer than this is sent while it grows. To send what is shorter takes about as long as the three
/// requests that this takes, and of what the registry has already, no more than this is sent for nothing at once.
const WORTH_AN_UPLOAD: u64 = 32 << 20;

/// Who is told of what leaves, and for which names: from several threads.
pub type Departing<'a> = &'a (dyn Fn(Leaving<'_>, &[Reference]) + Sync);

/// What is to be sent ahead, and to the repositories of which names.
struct Errand {
    what: Parcel,
    to: Vec<Reference>,
}

/// A blob that is sent ahead.
enum Parcel {
    /// What is being made.
    Growing(Arc<dyn GrowingContent>),
    /// What is there.
    Whole(Box<Descriptor>),
}

/// Where blobs are sent.
#[derive(Default)]
struct Ahead {
    /// Those that were asked for, as `host/name`; nothing of one that could not be sent to: the rest is left to the push.
    repositories: Mutex<BTreeMap<String, Option<Repository>>>,
    /// Whether nobody wants anything any more.
    skipped: AtomicBool,
}

impl Ahead {
    fn repository(&self, inner: &Inner, name: &Reference) -> Option<Repository> {
        let mut known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || inner.repository(name, Rights::Push).ok();
        known.entry(name.name()).or_insert_with(ask).clone()
    }

    fn give_up(&self, name: &Reference) {
        let mut known = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(name.name(), None);
    }
}

/// Blobs that leave while an image is made.
struct Departures<'a> {
    /// What came from elsewhere.
    origins: &'a dyn BlobHolders,
    queue: Sender<Errand>,
    waiting: Mutex<Waiting>,
}

/// What came from elsewhere waits for each repository until there is something for it that did not.
#[derive(Default)]
struct Waiting {
    /// Those that wait for nothing, as `host/name`.
    opened: BTreeSet<String>,
    blobs: Vec<(Descriptor, Reference)>,
}

impl Waiting {
    /// Lets what waits for a repository leave.
    fn open(&mut self, name: &Reference) -> Vec<(Descriptor, Reference)> {
        let place = name.name();
        let leaves = |one: &mut (Descriptor, Reference)| one.1.name() == place;
        let left = self.blobs.extract_if(.., leaves).collect();
        self.opened.insert(place);
        left
    }
}

impl Departures<'_> {
    fn leaving(&self, leaving: Leaving<'_>, to: &[Reference]) {
        let what = match leaving {
            Leaving::Growing(blob) => Parcel::Growing(blob),
            // Foreign layers stay where they are published.
            Leaving::Ready(blob) if blob.media_type.is_foreign() && !blob.urls.is_empty() => return,
            Leaving::Ready(blob) if self.origins.repositories(&blob.digest).is_some() => {
                return self.foreign(blob, to);
            }
            Leaving::Ready(blob) => Parcel::Whole(Box::new(blob.clone())),
        };
        let waited: Vec<_> = {
            let mut waiting = self.waiting();
            to.iter().flat_map(|name| waiting.open(name)).collect()
        };
        for (blob, name) in waited {
            self.send(whole(&blob), vec![name]);
        }
        self.send(what, to.to_vec());
    }

    fn foreign(&self, blob: &Descriptor, to: &[Reference]) {
        let mut waiting = self.waiting();
        let (open, closed): (Vec<_>, Vec<_>) =
            to.iter().cloned().partition(|name| waiting.opened.contains(&name.name()));
        waiting.blobs.extend(closed.into_iter().map(|name| (blob.clone(), name)));
        drop(waiting);
        if !open.is_empty() {
            self.send(whole(blob), open);
        }
    }

    fn send(&self, what: Parcel, to: Vec<Reference>) {
        // Where nobody takes it any more, nobody wants it.
        drop(self.queue.send(Errand { what, to }));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn whole(blob: &Descriptor) -> Parcel {
    Parcel::Whole(Box::new(blob.clone()))
}

impl Outbox<'_> {
    /// As [`ahead_of_each`](Self::ahead_of_each), where everything goes to the repositories of `to`.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn ahead<T, E>(
        &self,
        to: &[Reference],
        make: impl FnOnce(Told<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.ahead_of_each(|departing| make(&|leaving| departing(leaving, to)))
    }

    /// Sends blobs to repositories while `make` makes others: it tells of each that is
    /// ready, and of those that are long and can be sent while they grow, and where they go. Those that came from
    /// elsewhere wait until there is one for the same repository that did not: an image without any may well be there as a
    /// whole. What cannot be sent is left to [`push`](Self::push), which says why. Where `make` fails, what is being sent
    /// is broken off.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn ahead_of_each<T, E>(
        &self,
        make: impl FnOnce(Departing<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (sender, queue) = channel::<Errand>();
        let (queue, ahead) = (Mutex::new(queue), Ahead::default());
        let work = || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(errand) = next() {
                if !ahead.skipped.load(Ordering::Relaxed) {
                    self.errand(&errand, &ahead);
                }
            }
        };
        let made = std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(work);
            }
            let waiting = Mutex::default();
            let departures = Departures { origins: self.how.origins, queue: sender, waiting };
            let made = make(&|leaving, to| departures.leaving(leaving, to));
            ahead.skipped.fetch_or(made.is_err(), Ordering::Relaxed);
            self.given_up.store(made.is_err(), Ordering::Relaxed);
            drop(departures);
            made
        });
        self.given_up.store(false, Ordering::Relaxed);
        made
    }

    fn errand(&self, Errand { what, to }: &Errand, ahead: &Ahead) {
        let target = |name| {
            let repository = ahead.repository(self.inner, name)?;
            Some(Target { repository, names: vec![name] })
        };
        let targets = to.iter().filter_map(target);
        match what {
            // The others take it from the first.
            Parcel::Growing(blob) => targets.take(1).for_each(|target| {
                if let Err(error) = self.growing(blob, &target) {
                    tracing::debug!(%error, "a blob is not sent while it grows");
                    self.needs_lengths.store(true, Ordering::Relaxed);
                    self.note(&error, &target);
                    if error.is_broken() {
                        ahead.give_up(target.names[0]);
                    }
                }
            }),
            Parcel::Whole(blob) => targets.for_each(|target| {
                if let Err(error) = self.blob(blob, &target) {
                    self.note(&error, &target);
                    ahead.give_up(target.names[0]);
                }
            }),
        }
    }

    /// Sends a blob while it grows, if it becomes long enough for that. Where it cannot be sent so, it is sent as a
    /// whole when it is complete, as all that come after it are.
    fn growing(
        &self,
        blob: &Arc<dyn GrowingContent>,
        target: &Target<'_>,
    ) -> Result<(), RegistryError> {
        let Target { repository, names } = target;
        let (to, place) = (Destination { inner: self.inner, repository }, place_of(repository));
        let takes_any =
            || !self.needs_lengths.load(Ordering::Relaxed) && !to.has_habit(Habit::WantsPieces);
        if !takes_any() || !blob.outgrows(WORTH_AN_UPLOAD) || !takes_any() {
            return Ok(());
        }
        let sending = self.how.delivered.claim_growing(Arc::clone(blob), &place);
        let (transfers, reference, given_up) = (self.how.transfers, names[0], &self.given_up);
        let upload = GrowingUpload { to, blob: &**blob, transfers, reference, given_up };
        sending.done(upload.run()?.digest);
        Ok(())
    }

    /// Remembers of a target that it cannot be reached.
    fn note(&self, error: &RegistryError, target: &Target<'_>) {
        if error.is_broken() {
            self.how.delivered.give_up(&target.repository.host);
        }
    }

    /// Knocks once at a registry that was given up before, and fails if it is still not there: nobody waits for it as
    /// long as the first time.
    pub(super) fn knock(
        &self,
        root: &Descriptor,
        target: &Target<'_>,
    ) -> Result<(), RegistryError> {
        let Target { repository, .. } = target;
        if !self.how.delivered.was_given_up(&repository.host) {
            return Ok(());
        }
        let call = manifest::head(repository.url(&format!("manifests/{}", root.digest)));
        match self.inner.call(repository, &call) {
            Err(error) if error.is_broken() => Err(error),
            // Whatever else it says, it is there.
            _ => Ok(()),
        }
    }
}
