//! How much a stream may cost: what is declared, and what has been spent of it.

use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a layer or an archive may unpack to. The defaults let pass what people build, and bound what
/// a small stream can cost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Entries, headers of extensions included. Each is kept in memory until the layer is read.
    pub entries: u64,
    /// Bytes of all files, holes included.
    pub unpacked: u64,
    /// How many bytes may come of each compressed one, beyond [`FREE`]: of logs, sources and
    /// programs 3 to 20 do, of the most repetitive layers that people have 200.
    pub expansion: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 2_000_000, unpacked: 100 << 30, expansion: 200 }
    }
}

/// What every stream may expand to, however small it is.
pub const FREE: u64 = 1 << 30;
/// What an entry counts for: its inode, its name, and its place in the tree.
pub const ENTRY_COST: u64 = 8 << 10;
/// Zeros are read and hashed but not stored, and so count for an eighth.
const ZEROS_PER_BYTE: u64 = 8;
/// What is looked at at once to see whether it is zeros: a page.
const PIECE: usize = 4096;

/// A limit by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Limit {
    /// [`Limits::entries`].
    Entries,
    /// [`Limits::unpacked`].
    Unpacked,
    /// [`Limits::expansion`].
    Expansion,
}

impl FromStr for Limit {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "entries" => Ok(Self::Entries),
            "unpacked" => Ok(Self::Unpacked),
            "expansion" => Ok(Self::Expansion),
            _ => Err(()),
        }
    }
}

impl Limits {
    /// Gives a limit another value.
    pub fn set(&mut self, limit: Limit, value: u64) {
        *match limit {
            Limit::Entries => &mut self.entries,
            Limit::Unpacked => &mut self.unpacked,
            Limit::Expansion => &mut self.expansion,
        } = value;
    }
}

/// A stream is past a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Exceeded {
    /// [`Limits::entries`].
    #[error("more than {0} entries: the limit `entries` (--limit entries=NUMBER)")]
    Entries(u64),
    /// [`Limits::unpacked`].
    #[error("unpacks to more than {0} bytes: the limit `unpacked` (--limit unpacked=SIZE)")]
    Unpacked(u64),
    /// [`Limits::expansion`].
    #[error(
        "more than {0} bytes for each compressed one, beyond {FREE}, an entry counted as {ENTRY_COST}: the limit `expansion` (--limit expansion=NUMBER)"
    )]
    Expansion(u64),
}

/// What has been read of a stream, and what it has come to.
#[derive(Clone, Debug, Default)]
pub struct Budget(Arc<Spent>);

#[derive(Debug, Default)]
struct Spent {
    limits: Limits,
    read: AtomicU64,
    made: AtomicU64,
}

impl Budget {
    /// Nothing spent yet.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Spent { limits, ..Spent::default() }))
    }

    /// What it keeps to.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Spends the cost of an entry.
    pub(super) fn entry(&self) -> Result<(), Exceeded> {
        self.spend(ENTRY_COST)
    }

    fn bytes(&self, bytes: &[u8]) -> Result<(), Exceeded> {
        let cost = |piece: &[u8]| {
            let zeros = piece.iter().all(|byte| *byte == 0);
            piece.len() as u64 / if zeros { ZEROS_PER_BYTE } else { 1 }
        };
        self.spend(bytes.chunks(PIECE).map(cost).sum())
    }

    fn spend(&self, cost: u64) -> Result<(), Exceeded> {
        let Spent { limits, read, made } = &*self.0;
        let made = made.fetch_add(cost, Ordering::Relaxed).saturating_add(cost);
        let allowed = read.load(Ordering::Relaxed).saturating_mul(limits.expansion);
        if FREE.saturating_add(allowed) < made {
            return Err(Exceeded::Expansion(limits.expansion));
        }
        Ok(())
    }
}

/// Counts what is read of a compressed stream.
pub(super) struct Taking<R>(pub(super) R, pub(super) Budget);

impl<R: Read> Read for Taking<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(bytes)?;
        self.1.0.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Spends for what comes of it.
pub(super) struct Spending<R>(pub(super) R, pub(super) Budget);

impl<R: Read> Read for Spending<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(bytes)?;
        self.1.bytes(&bytes[..count]).map_err(exceeded)?;
        Ok(count)
    }
}

fn exceeded(cause: Exceeded) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(budget: &Budget, count: u64) {
        std::io::copy(&mut Taking(io::repeat(1).take(count), budget.clone()), &mut io::sink())
            .unwrap();
    }

    #[test]
    fn what_is_free_and_what_is_paid_for_may_be_spent_to_the_last_byte() {
        let budget = Budget::new(Limits { expansion: 3, ..Limits::default() });
        read(&budget, 10);
        budget.spend(FREE + 30).unwrap();
        let error = budget.spend(1).unwrap_err();
        assert_eq!(error, Exceeded::Expansion(3));
        assert!(error.to_string().contains("--limit expansion="));
    }

    #[test]
    fn zeros_cost_an_eighth_and_entries_what_they_take_up() {
        let budget = Budget::default();
        budget.bytes(&vec![0; 64 << 10]).unwrap();
        assert_eq!(budget.0.made.load(Ordering::Relaxed), 8 << 10);
        budget.bytes(&[1; 100]).unwrap();
        budget.entry().unwrap();
        assert_eq!(budget.0.made.load(Ordering::Relaxed), (8 << 10) + 100 + ENTRY_COST);
    }

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = Limits::default();
        for (name, value) in [("entries", 1), ("unpacked", 2), ("expansion", 3)] {
            limits.set(name.parse().unwrap(), value);
        }
        assert_eq!(limits, Limits { entries: 1, unpacked: 2, expansion: 3 });
        assert!("entry".parse::<Limit>().is_err());
    }
}
