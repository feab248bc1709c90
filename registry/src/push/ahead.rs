//! Blobs that leave before the image is known, or themselves are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use wythe_store::digest::Digest;
use wythe_store::image::encode::{Leaving, Told};
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::growing::GrowingContent;
use wythe_store::oci::reference::Reference;

use super::{Outbox, PARALLEL, Target};
use crate::client::Rights;
use crate::error::RegistryError;
use crate::learned::Habit;
use crate::manifest;
use crate::objects::place_of;
use crate::upload::{Destination, GrowingUpload};

/// A blob that becomes longer than this is sent while it grows. To send what is shorter takes about as long as the three
/// requests that this takes, and of what the registry has already, no more than this is sent for nothing at once.
const WORTH_AN_UPLOAD: u64 = 32 << 20;

/// What is to be sent ahead.
enum Errand {
    /// What is being made.
    Growing(Arc<dyn GrowingContent>),
    /// What is there.
    Whole(Box<Descriptor>),
}

/// Where it is sent.
struct Ahead<'a> {
    targets: Vec<Target<'a>>,
    /// Whether something could not be sent, or is wanted no more: the rest is left to the push.
    skipped: AtomicBool,
}

/// Blobs that leave while an image is made.
struct Departures<'a> {
    /// What came from elsewhere.
    origins: &'a BTreeMap<Digest, Vec<String>>,
    queue: Sender<Errand>,
    /// What of that waits, until there is something that did not.
    waiting: Mutex<Option<Vec<Descriptor>>>,
}

impl Departures<'_> {
    fn leaving(&self, leaving: Leaving<'_>) {
        let errand = match leaving {
            Leaving::Growing(blob) => Errand::Growing(blob),
            // Foreign layers stay where they are published.
            Leaving::Ready(blob) if blob.media_type.is_foreign() && !blob.urls.is_empty() => return,
            Leaving::Ready(blob) => {
                let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(waiting) = &mut *waiting
                    && self.origins.contains_key(&blob.digest)
                {
                    waiting.push(blob.clone());
                    return;
                }
                Errand::Whole(Box::new(blob.clone()))
            }
        };
        let waited = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let waited = waited.into_iter().flatten().map(|blob| Errand::Whole(Box::new(blob)));
        // Where nobody takes them any more, nobody wants them.
        waited.chain([errand]).for_each(|errand| drop(self.queue.send(errand)));
    }
}

impl Outbox<'_> {
    /// Sends blobs to the repositories of `to` while `make` makes others: it tells of each that is
    /// ready, and of those that are long and can be sent while they grow. Those that came from elsewhere wait until there
    /// is one that did not: an image without any may well be there as a whole. What cannot be sent is left to
    /// [`push`](Self::push), which says why. Where `make` fails, what is being sent is broken off.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn ahead<T, E>(
        &self,
        to: &[Reference],
        make: impl FnOnce(Told<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let target = |name| {
            let repository = self.inner.repository(name, Rights::Push).ok()?;
            Some(Target { repository, names: vec![name] })
        };
        let targets: Vec<Target<'_>> = to.iter().filter_map(target).collect();
        let (sender, queue) = channel::<Errand>();
        let (queue, ahead) =
            (Mutex::new(queue), Ahead { targets, skipped: AtomicBool::new(false) });
        let work = || {
            let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
            while let Ok(errand) = next() {
                if !ahead.skipped.load(Ordering::Relaxed) {
                    self.errand(errand, &ahead);
                }
            }
        };
        let made = std::thread::scope(|scope| {
            for _ in 0..PARALLEL {
                scope.spawn(work);
            }
            let departures = Departures {
                origins: self.how.origins,
                queue: sender,
                waiting: Mutex::new(Some(Vec::new())),
            };
            let made = make(&|leaving| departures.leaving(leaving));
            ahead.skipped.fetch_or(made.is_err(), Ordering::Relaxed);
            self.given_up.store(made.is_err(), Ordering::Relaxed);
            drop(departures);
            made
        });
        self.given_up.store(false, Ordering::Relaxed);
        made
    }

    fn errand(&self, errand: Errand, ahead: &Ahead<'_>) {
        match errand {
            Errand::Growing(blob) => {
                // The others take it from the first.
                if let Some(target) = ahead.targets.first()
                    && let Err(error) = self.growing(&blob, target)
                {
                    tracing::debug!(%error, "a blob is not sent while it grows");
                    self.needs_lengths.store(true, Ordering::Relaxed);
                    self.note(&error, target);
                    ahead.skipped.fetch_or(error.is_broken(), Ordering::Relaxed);
                }
            }
            Errand::Whole(blob) => {
                let send =
                    |target| self.blob(&blob, target).inspect_err(|error| self.note(error, target));
                if ahead.targets.iter().try_for_each(send).is_err() {
                    ahead.skipped.store(true, Ordering::Relaxed);
                }
            }
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
