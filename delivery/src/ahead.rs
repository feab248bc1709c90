//! Layers that leave while the image they are of is still being made.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use wythe_store::digest::Digest;
use wythe_store::image::encode::{Leaving, encode_own};
use wythe_store::image::recode::RecodeCause;
use wythe_store::layer::export::Exporting;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::encode::Ready;
use crate::options::{LayerCompression, LayerOptions};
use crate::push::Push;

/// Layers that are compressed at a time: steps run beside them.
const AT_A_TIME: usize = 2;

/// Where layers are handed over that are complete.
#[derive(Debug)]
pub struct LayersAhead {
    queue: Mutex<Sender<Descriptor>>,
    state: Mutex<State>,
    /// A layer was compressed, or could not be.
    settled: Condvar,
    given_up: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    seen: BTreeSet<Digest>,
    waiting: usize,
}

impl LayerOptions {
    /// Whether a layer leaves in the same form whatever image it is of. One with a table of contents is another
    /// layer, and the image another image.
    pub fn are_known_ahead(self) -> bool {
        self.compression != LayerCompression::Estargz
    }
}

impl Push<'_> {
    /// Does something, such as a build, that tells of layers as they are complete: they are compressed in a pool
    /// and sent to the repositories of `names` meanwhile. What cannot be sent is left to a push that shares
    /// [`delivered`](Push::delivered), which says why; such a push may be a part of it. If it fails, what is being
    /// sent is broken off.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn while_making<T, E>(
        self,
        names: &[Reference],
        (layers, pool): (LayerOptions, &ThreadPool),
        make: impl FnOnce(&LayersAhead) -> Result<T, E>,
    ) -> Result<T, E> {
        let lease = self.content.lease;
        self.with_outbox(|outbox| {
            outbox.ahead(names, |ready| {
                let (queue, waiting) = channel();
                let ahead = &LayersAhead::new(queue);
                let waiting = &Mutex::new(waiting);
                std::thread::scope(|scope| {
                    for _ in 0..AT_A_TIME {
                        scope.spawn(move || {
                            let begun = &|blob| ready(Leaving::Growing(blob));
                            let how = Exporting { codec: layers.codec(), pool, begun };
                            let encode = |layer: &_| encode_own(lease, layer, how);
                            ahead.encode_each(waiting, &encode, ready);
                        });
                    }
                    let made = make(ahead);
                    ahead.given_up.fetch_or(made.is_err(), Ordering::Relaxed);
                    ahead.end();
                    made
                })
            })
        })
    }
}

impl LayersAhead {
    fn new(queue: Sender<Descriptor>) -> Self {
        let (state, settled) = (Mutex::default(), Condvar::new());
        Self { queue: Mutex::new(queue), state, settled, given_up: AtomicBool::new(false) }
    }

    /// Hands over a layer of the image that was made here, of its uncompressed descriptor. One that came before
    /// is not sent again.
    pub fn send(&self, layer: &Descriptor) {
        let mut state = self.lock();
        if !state.seen.insert(layer.digest) {
            return;
        }
        state.waiting += 1;
        drop(state);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.send(layer.clone()).is_err() {
            self.settle();
        }
    }

    /// Waits until all that was handed over is compressed, and perhaps still on its way: who compresses the rest
    /// then does nothing twice.
    pub fn encoded(&self) {
        let state = self.lock();
        let waiting = |state: &mut State| 0 < state.waiting;
        drop(self.settled.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner));
    }

    /// Nothing more comes.
    fn end(&self) {
        let (queue, _) = channel();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = queue;
    }

    fn encode_each(
        &self,
        queue: &Mutex<Receiver<Descriptor>>,
        encode: &dyn Fn(&Descriptor) -> Result<Descriptor, RecodeCause>,
        ready: Ready<'_>,
    ) {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(layer) = next() {
            let _settled = Settled(self);
            if !self.given_up.load(Ordering::Relaxed) {
                match encode(&layer) {
                    Ok(encoded) => ready(Leaving::Ready(&encoded)),
                    // Whoever makes the image says why.
                    Err(_) => self.given_up.store(true, Ordering::Relaxed),
                }
            }
        }
    }

    fn settle(&self) {
        self.lock().waiting -= 1;
        self.settled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One layer less to wait for, whatever became of it.
struct Settled<'a>(&'a LayersAhead);

impl Drop for Settled<'_> {
    fn drop(&mut self) {
        self.0.settle();
    }
}
