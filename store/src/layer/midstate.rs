//! Midstates: how far SHA-256 is at some entry of a layer's tar stream. With them a layer that begins as an
//! earlier one did is read from there on only, and its [`DiffId`](crate::digest::DiffId) costs what has changed.
//!
//! One is kept behind each entry with which the stream has grown by `EVERY` since the one before. Its key is a
//! hash of all headers up to there and of the ids of the bodies between them, which is what the stream
//! consists of. Nothing refers to midstates, so that a collection takes them away, and the next layer is read whole.

use crate::digest::Hasher;
use crate::error::{ReadError, WriteError};
use crate::id::BodyId;
use crate::layer::canonical::{self, BLOCK, CanonicalEntry, END, padding};
use crate::layer::export::assembler::Counter;
use crate::layer::export::{Measured, count};
use crate::layer::loaded;
use crate::layer::tar_write::WriteTarError;
use crate::lease::Lease;
use crate::object::{Encoding, Kind};
use crate::tree::entry::Tree;

/// So much of a stream takes three milliseconds to hash, and as long to read; a midstate takes a quarter of a
/// kilobyte of the store.
const EVERY: u64 = 4 << 20;

/// Keeps the keys apart from those of compressed parts, and says which form they are of.
const DOMAIN: &str = "wythe 2026 sha-256 within a tar stream";

/// A midstate, to be kept.
#[derive(Debug)]
pub struct Midstate {
    key: [u8; 32],
    state: Vec<u8>,
}

impl Midstate {
    /// Stores it.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn keep(&self, lease: &Lease) -> Result<(), WriteError> {
        lease.put(Kind::Fragment, &self.key, Encoding::Raw, &self.state)
    }
}

/// As [`measure`](super::export::measure()), from the last entry up to which the store has a midstate. Returns
/// those that it lacks as well.
///
/// # Errors
///
/// If the bytes of a file are not in the store.
pub fn measure_on(lease: &Lease, tree: &Tree) -> Result<(Measured, Vec<Midstate>), WriteTarError> {
    let (mut at, hasher) = known(lease, tree)?;
    let (mut counter, mut made) = (Counter::going_on(hasher, at.size), Vec::new());
    let n_known = at.n_entries;
    loaded::each_after::<WriteTarError>(tree, lease.store(), n_known, &mut |loaded| {
        count(&mut counter, &loaded)?;
        if let Some(key) = at.pass(&loaded.entry) {
            made.push(Midstate { key, state: counter.state() });
        }
        Ok(())
    })?;
    counter.add(&END);
    Ok((counter.measured(), made))
}

/// Files that are on their way into a store, by names that stand for what they hold as long as nobody knows that.
pub trait ArrivingBodies: Sync {
    /// Waits until a file is in the store; `None` where nobody waits for it any more.
    fn arrived(&self, stand_in: &BodyId) -> Option<BodyId>;

    /// Whether nobody waits any more.
    fn is_over(&self) -> bool;
}

/// Keeps the midstates of a layer while its files are being stored: whoever [measures](measure_on) it then has to read
/// what is behind the last of them. If the layer turns out to be another one, they are of no use, and do no harm. Ends
/// where nobody waits any more, or something cannot be read or written, which whoever measures it will say.
pub fn measure_ahead(lease: &Lease, tree: &Tree, arriving: &dyn ArrivingBodies) {
    let (mut at, mut counter) = (Progress::new(), Counter::default());
    let walked = canonical::each::<Ended>(tree, None, &mut |mut entry| {
        counter.add(&entry.header);
        if let Some(file) = &mut entry.body {
            file.body = arriving.arrived(&file.body).ok_or(Ended)?;
            let found = lease.store().body(&file.body)?.filter(|found| found.len() == file.size);
            found.ok_or(Ended)?.each::<Ended>(&mut |bytes| {
                counter.add(bytes);
                if arriving.is_over() { Err(Ended) } else { Ok(()) }
            })?;
            counter.add(&[0; BLOCK][..padding(file.size)]);
        }
        if let Some(key) = at.pass(&entry) {
            Midstate { key, state: counter.state() }.keep(lease).map_err(|_| Ended)?;
        }
        Ok(())
    });
    tracing::trace!(is_all = walked.is_ok(), size = at.size, "hashed while files are stored");
}

/// What ends hashing ahead.
struct Ended;

impl From<ReadError> for Ended {
    fn from(_: ReadError) -> Self {
        Self
    }
}

/// How far a stream is.
#[derive(Clone)]
struct Progress {
    /// Over what the stream so far is made of.
    made_of: blake3::Hasher,
    size: u64,
    /// How long it was at the last midstate.
    marked: u64,
    n_entries: usize,
}

impl Progress {
    fn new() -> Self {
        let made_of = blake3::Hasher::new_derive_key(DOMAIN);
        Self { made_of, size: 0, marked: 0, n_entries: 0 }
    }

    /// Passes an entry; returns the key of the midstate behind it, where there is to be one.
    fn pass(&mut self, entry: &CanonicalEntry) -> Option<[u8; 32]> {
        let length = entry.header.len() as u64;
        self.made_of.update(&length.to_le_bytes()).update(&entry.header);
        self.size += length;
        if let Some(file) = &entry.body {
            // Which headers have a body after them, they say themselves.
            self.made_of.update(file.body.as_bytes());
            self.size += file.size + padding(file.size) as u64;
        }
        self.n_entries += 1;
        if self.size - self.marked < EVERY {
            return None;
        }
        self.marked = self.size;
        Some(*self.made_of.finalize().as_bytes())
    }
}

/// The last entry up to which the store has all midstates, and all bodies: should one of them be missing,
/// whoever reads it is told.
fn known(lease: &Lease, tree: &Tree) -> Result<(Progress, Hasher), ReadError> {
    /// What ends the walk.
    struct Unknown;
    let holdings = lease.holdings()?;
    let mut at = Progress::new();
    let mut known = (at.clone(), Hasher::default());
    let walked = canonical::each(tree, None, &mut |entry| {
        if entry.body.is_some_and(|file| !holdings.contain_body(&file.body)) {
            return Err(Unknown);
        }
        if let Some(key) = at.pass(&entry) {
            let state = holdings.read(Kind::Fragment, &key).ok_or(Unknown)?;
            known = (at.clone(), Hasher::from_state(&state).ok_or(Unknown)?);
        }
        Ok(())
    });
    tracing::trace!(is_all = walked.is_ok(), size = known.0.size, "known of a tar stream");
    Ok(known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::layer::export::measure;
    use crate::live::tests::Trial;
    use crate::path::LayerPath;
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{File, Metadata, Node};

    /// Of no round length, and more than half of [`EVERY`].
    const SIZE: usize = 2_500_001;

    fn body(number: u8) -> Vec<u8> {
        vec![number; SIZE]
    }

    fn tree(numbers: &[u8]) -> Tree {
        let mut builder = TreeBuilder::new();
        for (at, number) in numbers.iter().enumerate() {
            let body = BodyId::of(&body(*number));
            let node = Node::File(File { body, size: SIZE as u64, link: None });
            let path = LayerPath::parse(format!("f{at:02}").as_bytes()).unwrap();
            builder.insert(&path, Metadata::default(), node).unwrap();
        }
        builder.finish()
    }

    fn put(trial: &Trial, numbers: std::ops::Range<u8>) {
        for number in numbers {
            trial.lease.put_body(&body(number)).unwrap();
        }
    }

    fn keep(midstates: &[Midstate], trial: &Trial) {
        for midstate in midstates {
            midstate.keep(&trial.lease).unwrap();
        }
    }

    /// How many midstates were made that were not known.
    fn measured(trial: &Trial, tree: &Tree) -> usize {
        let (found, made) = measure_on(&trial.lease, tree).unwrap();
        assert_eq!(found, measure(tree, trial.lease.store()).unwrap());
        keep(&made, trial);
        made.len()
    }

    #[test]
    fn a_layer_that_begins_as_an_earlier_one_is_measured_from_there_on() {
        let trial = Trial::new();
        put(&trial, 0..7);
        assert_eq!(measured(&trial, &tree(&[0, 1, 2, 3, 4, 5])), 3);
        assert_eq!(measured(&trial, &tree(&[0, 1, 2, 3, 4, 5])), 0);
        assert_eq!(measured(&trial, &tree(&[0, 1, 2, 3, 4, 6])), 1, "the last of three");
        assert_eq!(measured(&trial, &tree(&[0, 1, 2, 3])), 0, "shorter");
        assert_eq!(measured(&trial, &tree(&[0, 1, 2, 3, 4, 5, 6, 6])), 1, "longer");
        assert_eq!(measured(&trial, &tree(&[1, 1, 2, 3, 4, 5])), 3, "another first file");
        let mut other = tree(&[0, 1, 2, 3, 4, 5]);
        other.root = Some(Metadata { mode: 0o700, ..Metadata::default() });
        assert_eq!(measured(&trial, &other), 3, "another header");
    }

    #[test]
    fn a_body_that_is_gone_is_told_of_though_its_hash_is_known() {
        let (trial, other) = (Trial::new(), Trial::new());
        let tree = tree(&[0, 1, 2]);
        put(&trial, 0..3);
        let (_, made) = measure_on(&trial.lease, &tree).unwrap();
        keep(&made, &other);
        other.lease.put_body(&body(2)).unwrap();
        let refused = measure_on(&other.lease, &tree).unwrap_err();
        assert!(matches!(refused, WriteTarError::Missing { .. }), "{refused:?}");
    }

    #[test]
    fn what_is_no_midstate_is_passed_by() {
        let trial = Trial::new();
        put(&trial, 0..3);
        let tree = tree(&[0, 1, 2]);
        let (_, mut made) = measure_on(&trial.lease, &tree).unwrap();
        for midstate in &mut made {
            midstate.state.pop();
            midstate.keep(&trial.lease).unwrap();
        }
        let (found, again) = measure_on(&trial.lease, &tree).unwrap();
        assert_eq!(
            (found, again.len()),
            (measure(&tree, trial.lease.store()).unwrap(), made.len())
        );
    }

    /// Bodies that arrive under the names of their numbers, but for those from one on.
    struct Arriving(BTreeMap<BodyId, BodyId>);

    impl ArrivingBodies for Arriving {
        fn arrived(&self, stand_in: &BodyId) -> Option<BodyId> {
            self.0.get(stand_in).copied()
        }

        fn is_over(&self) -> bool {
            false
        }
    }

    #[test]
    fn what_was_hashed_while_files_arrived_is_not_hashed_again() {
        let trial = Trial::new();
        put(&trial, 0..6);
        let stand_in = |number: u8| BodyId::of(&[number]);
        let whole = tree(&[0, 1, 2, 3, 4, 5]);
        let mut foreseen = TreeBuilder::new();
        for number in 0..6 {
            let body = stand_in(number);
            let node = Node::File(File { body, size: SIZE as u64, link: None });
            let path = LayerPath::parse(format!("f{number:02}").as_bytes()).unwrap();
            foreseen.insert(&path, Metadata::default(), node).unwrap();
        }
        let arriving = |n| (0..n).map(|one| (stand_in(one), BodyId::of(&body(one)))).collect();
        let foreseen = foreseen.finish();
        measure_ahead(&trial.lease, &foreseen, &Arriving(arriving(3)));
        assert_eq!(measured(&trial, &whole), 2, "the first of three is known");
        let other = Trial::new();
        put(&other, 0..6);
        measure_ahead(&other.lease, &foreseen, &Arriving(arriving(6)));
        assert_eq!(measured(&other, &whole), 0);
    }
}
