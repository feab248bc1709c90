//! Layers that leave while the image they are of is still being made.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rayon::ThreadPool;
use wythe_registry::push::ahead::Departing;
use wythe_store::digest::{DiffId, Digest};
use wythe_store::id::LayerId;
use wythe_store::image::blob_origin::BlobOrigin;
use wythe_store::image::encode::{Leaving, encode_made, encode_own};
use wythe_store::image::recode::RecodeCause;
use wythe_store::layer::codec::Codec;
use wythe_store::layer::export::{Exporting, Measured};
use wythe_store::lease::Lease;
use wythe_store::oci::descriptor::Descriptor;
use wythe_store::oci::reference::Reference;

use crate::options::{LayerCompression, LayerOptions};
use crate::push::Push;

/// Layers that are compressed at a time: steps run beside them.
const AT_A_TIME: usize = 2;

/// Where layers are handed over whose files are final.
#[derive(Debug)]
pub struct LayersAhead {
    queue: Mutex<Sender<Handed>>,
    layers: LayerOptions,
    state: Mutex<State>,
    /// A layer was compressed, or could not be; or it is known what one is.
    settled: Condvar,
    given_up: AtomicBool,
}

/// A layer as it was handed over, and the names of the images that it is of.
#[derive(Debug)]
struct Handed {
    layer: HandedLayer,
    to: Vec<Reference>,
}

#[derive(Debug)]
enum HandedLayer {
    /// It came from elsewhere, and leaves as it came.
    Base(Box<BlobOrigin>),
    /// Its files are in the store.
    Made(LayerId),
    /// It is known what they are.
    Sealed(Box<Descriptor>),
}

#[derive(Debug, Default)]
struct State {
    /// Those that are known, and where they were sent.
    seen: BTreeMap<Digest, BTreeSet<Reference>>,
    /// Those of which it was not known at first what they are.
    made: BTreeMap<LayerId, MadeLayer>,
    /// Nothing more becomes known.
    is_over: bool,
    waiting: usize,
}

impl State {
    /// Notes that a layer is sent to the repositories of names. Returns those that it was not sent to before.
    fn see(&mut self, layer: Digest, to: &[Reference]) -> Vec<Reference> {
        let seen = self.seen.entry(layer).or_default();
        to.iter().filter(|name| seen.insert((*name).clone())).cloned().collect()
    }
}

/// A layer of which the files were handed over first.
#[derive(Debug)]
struct MadeLayer {
    /// What it is.
    measured: Option<Measured>,
    /// Where it is sent.
    to: Vec<Reference>,
}

/// Who is told of layers on their way, and of those that came from elsewhere.
#[derive(Clone, Copy)]
struct Departure<'a> {
    departing: Departing<'a>,
    learn: &'a (dyn Fn(&BlobOrigin) + Sync),
}

impl LayerOptions {
    /// Whether a layer leaves in the same form whatever image it is of. One with a table of contents is made of the
    /// image, which may be another image with it.
    pub fn are_known_ahead(self) -> bool {
        !matches!(self.compression, LayerCompression::Estargz | LayerCompression::ZstdChunked)
    }
}

impl Push<'_> {
    /// Does something, such as a build, that tells of layers as they are complete, and of the names of the images that
    /// they are of: they are compressed in a pool and sent to the repositories of those meanwhile. What cannot be sent is
    /// left to a push that shares [`delivered`](Push::delivered), which says why; such a push may be a part of it. If it
    /// fails, what is being sent is broken off.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub fn while_making<T, E>(
        self,
        (layers, pool): (LayerOptions, &ThreadPool),
        make: impl FnOnce(&LayersAhead) -> Result<T, E>,
    ) -> Result<T, E> {
        let content = self.content;
        let learn = &|origin: &BlobOrigin| content.learn(origin);
        self.with_outbox(|outbox| {
            outbox.ahead_of_each(|departing| {
                let departure = Departure { departing, learn };
                let made = LayersAhead::meanwhile(content.lease, (layers, pool), departure, make);
                if made.is_err() {
                    content.abandon();
                }
                made
            })
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
    let departure = Departure { departing: &|_, _| {}, learn: &|_| {} };
    LayersAhead::meanwhile(lease, (layers, pool), departure, make)
}

impl LayersAhead {
    /// Compresses the layers that `make` hands over, and tells of each.
    fn meanwhile<T, E>(
        lease: &Lease,
        (layers, pool): (LayerOptions, &ThreadPool),
        departure: Departure<'_>,
        make: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let (queue, waiting) = channel();
        let (waiting, ahead) = (&Mutex::new(waiting), &Self::new(queue, layers));
        let (codec, departing) = (layers.codec(), departure.departing);
        let encode = &|Handed { layer, to }: &Handed| {
            let begun = &|blob| departing(Leaving::Growing(blob), to);
            let how = Exporting { codec, pool, begun, measured: None };
            match layer {
                HandedLayer::Base(origin) => {
                    (departure.learn)(origin);
                    Ok(origin.descriptor.clone())
                }
                HandedLayer::Made(id) => {
                    let wait = || ahead.measured(id);
                    encode_made(lease, *id, Exporting { measured: Some(&wait), ..how })
                }
                HandedLayer::Sealed(layer) => encode_own(lease, layer, how),
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(move || ahead.encode_each(waiting, encode, departing));
            }
            let made = make(ahead);
            ahead.given_up.fetch_or(made.is_err(), Ordering::Relaxed);
            ahead.end();
            made
        })
    }

    fn new(queue: Sender<Handed>, layers: LayerOptions) -> Self {
        let (state, settled) = (Mutex::default(), Condvar::new());
        let given_up = AtomicBool::new(false);
        Self { queue: Mutex::new(queue), layers, state, settled, given_up }
    }

    /// Hands over a layer that came from elsewhere, where it may still be, of images of these names. One that does not
    /// leave as it came is left to who makes the image.
    pub fn base(&self, origin: &BlobOrigin, to: &[Reference]) {
        let mut state = self.lock();
        if !self.layers.changes_foreign(&origin.descriptor) {
            let new = state.see(origin.descriptor.digest, to);
            if !new.is_empty() {
                self.hand_over(state, HandedLayer::Base(Box::new(origin.clone())), new);
            }
        }
    }

    /// Hands over a layer that was made here, of its uncompressed descriptor, of images of these names. One that came
    /// before for the same names is not sent again.
    pub fn send(&self, layer: &Descriptor, to: &[Reference]) {
        let mut state = self.lock();
        let is_first = !state.seen.contains_key(&layer.digest);
        let new = state.see(layer.digest, to);
        if is_first || !new.is_empty() {
            self.hand_over(state, HandedLayer::Sealed(Box::new(layer.clone())), new);
        }
    }

    /// Hands over a layer whose files are in the store, and of which [`sealed`](Self::sealed) says what it is before
    /// all that is made is [`encoded`](Self::encoded): it is compressed while that is computed.
    pub fn made(&self, layer: LayerId, to: &[Reference]) {
        let mut state = self.lock();
        // Without compression a layer is what it is, and there is nothing to do before that is known.
        if self.layers.codec() != Codec::None && !state.made.contains_key(&layer) {
            let to = to.to_vec();
            state.made.insert(layer, MadeLayer { measured: None, to: to.clone() });
            self.hand_over(state, HandedLayer::Made(layer), to);
        }
    }

    /// Says what a layer is, and hands it over where that was not done.
    pub fn sealed(&self, id: LayerId, layer: &Descriptor, to: &[Reference]) {
        let mut state = self.lock();
        if let Some(known) = state.made.get_mut(&id) {
            known.measured = Some(Measured { diff_id: DiffId(layer.digest), size: layer.size });
            let sent = known.to.clone();
            state.see(layer.digest, &sent);
        }
        drop(state);
        self.settled.notify_all();
        self.send(layer, to);
    }

    fn hand_over(&self, mut state: MutexGuard<'_, State>, layer: HandedLayer, to: Vec<Reference>) {
        state.waiting += 1;
        drop(state);
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.send(Handed { layer, to }).is_err() {
            self.settle();
        }
    }

    /// Waits until it is known what a layer is; `None` where that never will be.
    fn measured(&self, layer: &LayerId) -> Option<Measured> {
        let known = |state: &State| state.made.get(layer).and_then(|made| made.measured);
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
        departing: Departing<'_>,
    ) {
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        while let Ok(layer) = next() {
            let _settled = Settled(self);
            if !self.given_up.load(Ordering::Relaxed) {
                match encode(&layer) {
                    Ok(encoded) => departing(Leaving::Ready(&encoded), &layer.to),
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
