//! Layers that leave while the image they are of is still being made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::LayerId;
use wythe_store::image::encode::{Leaving, encode_made, encode_own};
use wythe_store::image::recode::RecodeCause;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{Exporting, Measured};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::encode::Ready;
use crate::options::{LayerCompression, LayerOptions};
use crate::push::Push;

/// Layers that are compressed at a time: steps run beside them.
const AT_A_TIME: usize = 2;

/// Where layers are handed over whose files are final.
#[derive(Debug)]
pub struct LayersAhead {
    queue: Mutex<Sender<Handed>>,
    codec: Codec,
    state: Mutex<State>,
    /// A layer was compressed, or could not be; or it is known what one is.
    settled: Condvar,
    given_up: AtomicBool,
}

/// A layer as it was handed over.
#[derive(Debug)]
enum Handed {
    /// Its files are in the store.
    Made(LayerId),
    /// It is known what they are.
    Sealed(Box<Descriptor>),
}

#[derive(Debug, Default)]
struct State {
    seen: BTreeSet<Digest>,
    /// Those of which that was not known at first, and what they are.
    made: BTreeMap<LayerId, Option<Measured>>,
    /// Nothing more becomes known.
    is_over: bool,
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
            outbox.ahead(names, |ready| LayersAhead::meanwhile(lease, (layers, pool), ready, make))
        })
    }
}

/// As [`Push::while_making`], for what goes to no registry: layers are compressed meanwhile, and found in the store by
/// who writes the image.
///
/// # Errors
///
/// Those of `make`.
pub fn encode_while_making<T, E>(
    lease: &Lease,
    (layers, pool): (LayerOptions, &ThreadPool),
    make: impl FnOnce(&LayersAhead) -> Result<T, E>,
) -> Result<T, E> {
    LayersAhead::meanwhile(lease, (layers, pool), &|_| {}, make)
}

impl LayersAhead {
    /// Compresses the layers that `make` hands over, and tells of each.
    fn meanwhile<T, E>(
        lease: &Lease,
        (layers, pool): (LayerOptions, &ThreadPool),
        ready: Ready<'_>,
        make: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let (queue, waiting) = channel();
        let (waiting, codec) = (&Mutex::new(waiting), layers.codec());
        let ahead = &Self::new(queue, codec);
        let begun = &|blob| ready(Leaving::Growing(blob));
        let encode = &|layer: &Handed| match layer {
            Handed::Made(id) => {
                let wait = || ahead.measured(id);
                encode_made(lease, *id, Exporting { codec, pool, begun, measured: Some(&wait) })
            }
            Handed::Sealed(layer) => {
                encode_own(lease, layer, Exporting { codec, pool, begun, measured: None })
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(move || ahead.encode_each(waiting, encode, ready));
            }
            let made = make(ahead);
            ahead.given_up.fetch_or(made.is_err(), Ordering::Relaxed);
            ahead.end();
            made
        })
    }

    fn new(queue: Sender<Handed>, codec: Codec) -> Self {
        let (state, settled) = (Mutex::default(), Condvar::new());
        let given_up = AtomicBool::new(false);
        Self { queue: Mutex::new(queue), codec, state, settled, given_up }
    }

    /// Hands over a layer of the image that was made here, of its uncompressed descriptor. One that came before
    /// is not sent again.
    pub fn send(&self, layer: &Descriptor) {
        let mut state = self.lock();
        if state.seen.insert(layer.digest) {
            self.hand_over(state, Handed::Sealed(Box::new(layer.clone())));
        }
    }

    /// Hands over a layer whose files are in the store, and of which [`sealed`](Self::sealed) says what it is before
    /// all that is made is [`encoded`](Self::encoded): it is compressed while that is computed.
    pub fn made(&self, layer: LayerId) {
        let mut state = self.lock();
        // Without compression a layer is what it is, and there is nothing to do before that is known.
        if self.codec != Codec::None && !state.made.contains_key(&layer) {
            state.made.entry(layer).or_default();
            self.hand_over(state, Handed::Made(layer));
        }
    }

    /// Says what a layer is, and hands it over if that was not done.
    pub fn sealed(&self, id: LayerId, layer: &Descriptor) {
        let mut state = self.lock();
        if let Some(known) = state.made.get_mut(&id) {
            *known = Some(Measured { diff_id: DiffId(layer.digest), size: layer.size });
            state.seen.insert(layer.digest);
            drop(state);
            self.settled.notify_all();
        } else {
            drop(state);
            self.send(layer);
        }
    }

    fn hand_over(&self, mut state: MutexGuard<'_, State>, layer: Handed) {
        state.waiting += 1;
        drop(state);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.send(layer).is_err() {
            self.settle();
        }
    }

    /// Waits until it is known what a layer is; `None` where that never will be.
    fn measured(&self, layer: &LayerId) -> Option<Measured> {
        let known = |state: &State| state.made.get(layer).copied().flatten();
        let waits = |state: &mut State| known(state).is_none() && !state.is_over;
        let state = self.settled.wait_while(self.lock(), waits);
        known(&state.unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until all that was handed over is compressed, and perhaps still on its way: who compresses the rest
    /// then does nothing twice.
    pub fn encoded(&self) {
        self.be_over();
        let state = self.lock();
        let waiting = |state: &mut State| 0 < state.waiting;
        drop(self.settled.wait_while(state, waiting).unwrap_or_else(PoisonError::into_inner));
    }

    /// Nobody seals a layer any more.
    fn be_over(&self) {
        self.lock().is_over = true;
        self.settled.notify_all();
    }

    /// Nothing more comes.
    fn end(&self) {
        self.be_over();
        let (queue, _) = channel();
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = queue;
    }

    fn encode_each(
        &self,
        queue: &Mutex<Receiver<Handed>>,
        encode: &(dyn Fn(&Handed) -> Result<Descriptor, RecodeCause> + Sync),
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
