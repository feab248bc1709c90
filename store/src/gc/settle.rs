//! Collection after a build: whether it is needed, found out at once.

use std::io;

use crate::error::{At as _, ReadError};
use crate::gc::budget::Budget;
use crate::gc::{Freed, GcError, LOCK, Pace, Policy};
use crate::store::Store;
use crate::usage::measure::Measure;

/// How a store stands to its budget.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Pressure {
    /// There is room.
    None,
    /// The next build may exceed it.
    Near,
    /// It takes more than it may.
    Over,
}

/// A store is near its budget when this part of it is left, as a divisor.
const NEAR: u64 = 16;

/// A collection leaves this part of a budget for what is to come, as a divisor, so that not every
/// build has to collect.
const HEADROOM: u64 = 8;

impl Store {
    /// How the store stands to a budget, about: packs and blobs are asked for their sizes, and
    /// directories are measured once, as long as there is patience.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn pressure(&self, budget: &Budget, pace: &Pace<'_>) -> Result<Pressure, ReadError> {
        let used = self.about(pace)?;
        let space = self.space().map_err(|error| ReadError::new("", error))?;
        Ok(match budget.allowance(used, space) {
            Some(allowance) if used > allowance => Pressure::Over,
            Some(allowance) if used > allowance - allowance / NEAR => Pressure::Near,
            _ => Pressure::None,
        })
    }

    /// Collects so that a budget is kept for some builds to come. Where another process collects,
    /// there is nothing to do.
    ///
    /// # Errors
    ///
    /// As [`collect`](Self::collect).
    pub fn settle(&self, budget: &Budget, pace: &Pace<'_>) -> Result<Freed, GcError> {
        let max_used = budget.max_used.map(|most| most - most / HEADROOM);
        // What may stay in any case is no reason to go back to the bound alone.
        let reserved = budget.reserved.min(max_used.unwrap_or(u64::MAX));
        let lock = match self.vfs().try_lock(LOCK) {
            Ok(Some(lock)) => lock,
            Ok(None) => return Ok(Freed::default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.vfs().lock(LOCK).writing(LOCK)?
            }
            Err(error) => return Err(error).writing(LOCK)?,
        };
        self.collect_alone(&lock, Policy::Within(Budget { max_used, reserved, ..*budget }), pace)
    }

    fn about(&self, pace: &Pace<'_>) -> Result<u64, ReadError> {
        let (uses, measure) = (self.uses(), Measure::new(self, pace.patience));
        let mut used = measure.flat()? + measure.fixed()?;
        for (name, _) in self.lives()? {
            used += measure.live(&name, &uses)?;
        }
        for mount in self.cache_mounts()? {
            used += measure.mount(&mount, &uses)?;
        }
        Ok(used)
    }
}
