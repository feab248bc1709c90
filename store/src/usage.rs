//! How much space the store takes, what for, and what of it could be had back.

pub mod image;
pub(crate) mod measure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::error::{At as _, ReadError};
use crate::gc::GcError;
use crate::gc::Pace;
use crate::gc::evict::Evicted;
use crate::gc::mark::{Walk, Weight};
use crate::journal::batch::Table;
use crate::object::Kind;
use crate::store::Store;
use crate::timestamp::Timestamp;
use crate::usage::measure::{Measure, Measured, Tally, tree};

/// What takes space.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Contents of files.
    Bodies,
    /// Trees of files.
    Trees,
    /// Compressed forms of layers.
    Fragments,
    /// Manifests, indexes and configurations.
    Documents,
    /// Layers as they were received.
    Blobs,
    /// Unpacked layers.
    Live,
    /// Directories that steps keep between builds.
    CacheMounts,
    /// The journal.
    Records,
    /// What is remembered of contexts and of uses, and tables over packs.
    Caches,
    /// Work of live leases, and what awaits deletion.
    Temporary,
    /// The directories of the store and its locks.
    Frame,
}

/// What a class takes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Portion {
    /// Bytes on disk.
    pub bytes: u64,
    /// How many of them no image with a name needs, or can be made again.
    pub reclaimable: u64,
}

/// Bytes on disk, by class.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Usage(BTreeMap<Class, Portion>);

impl Class {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Bodies,
        Self::Trees,
        Self::Fragments,
        Self::Documents,
        Self::Blobs,
        Self::Live,
        Self::CacheMounts,
        Self::Records,
        Self::Caches,
        Self::Temporary,
        Self::Frame,
    ];

    /// The class of what lies in a directory of the store; packs are of several.
    fn of_directory(name: &str) -> Self {
        match name {
            "packs" => Self::Bodies,
            "blobs" => Self::Blobs,
            "live" => Self::Live,
            "caches" => Self::CacheMounts,
            "journal" => Self::Records,
            "cache" => Self::Caches,
            "work" | "trash" | "quarantine" => Self::Temporary,
            _ => Self::Frame,
        }
    }

    fn of_object(kind: Kind) -> Self {
        match kind {
            Kind::Body | Kind::ChunkList => Self::Bodies,
            Kind::Tree => Self::Trees,
            Kind::Recipe | Kind::Run | Kind::Fragment => Self::Fragments,
            Kind::Document => Self::Documents,
        }
    }
}

impl Usage {
    /// What a class takes.
    pub fn of(&self, class: Class) -> Portion {
        self.0.get(&class).copied().unwrap_or_default()
    }

    /// All of it: what `du -s` says of the store.
    pub fn total(&self) -> Portion {
        self.0.values().fold(Portion::default(), |sum, portion| Portion {
            bytes: sum.bytes + portion.bytes,
            reclaimable: sum.reclaimable + portion.reclaimable,
        })
    }

    fn at(&mut self, class: Class) -> &mut Portion {
        self.0.entry(class).or_default()
    }
}

impl Store {
    /// Measures the store. Costs a walk of the unpacked layers, and marks what images need.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be read, or is damaged.
    pub fn usage(&self) -> Result<Usage, GcError> {
        let mut usage = self.directories()?;
        self.split_packs(&mut usage)?;
        let pace = Pace { now: Timestamp::default(), patience: &|| true };
        let mut walk = Walk::new(self, &pace)?;
        walk.weigh()?;
        walk.refs()?;
        walk.follow()?;
        for class in [Class::Bodies, Class::Trees, Class::Fragments, Class::Documents] {
            let needed = needed(&walk.weight, class);
            let portion = usage.at(class);
            portion.reclaimable = portion.bytes.saturating_sub(needed);
        }
        let measure = Measure::new(self, &|| true);
        let needed = measure.blobs(&walk.mark.digests)?;
        let blobs = usage.at(Class::Blobs);
        blobs.reclaimable = blobs.bytes.saturating_sub(needed);
        self.count_lives(&mut usage, &walk.mark.layers)?;
        for class in [Class::CacheMounts, Class::Temporary] {
            let portion = usage.at(class);
            portion.reclaimable = portion.bytes;
        }
        Ok(usage)
    }

    /// Bytes of packs and blobs that are condemned and still there, because a process that was at
    /// work before may be using them. The longer it lives the more they are.
    ///
    /// # Errors
    ///
    /// If a file of the store cannot be looked at.
    pub fn waiting(&self) -> Result<u64, ReadError> {
        let measure = Measure::new(self, &|| true);
        let rows = self.journal().scan(Table::Condemned).into_iter();
        let paths = rows.filter_map(|(path, _)| String::from_utf8(path).ok());
        paths.filter(|path| !path.starts_with("live/")).map(|path| measure.file(&path)).sum()
    }

    /// What the entries of the store's directory take. No file counts twice.
    fn directories(&self) -> Result<Usage, ReadError> {
        let (mut usage, mut tally) = (Usage::default(), Tally::default());
        let own = fs::symlink_metadata(self.path()).reading("")?;
        tally.add(&own);
        usage.at(Class::Frame).bytes += tally.bytes;
        for entry in fs::read_dir(self.path()).reading("")? {
            let name = entry.reading("")?.file_name().to_string_lossy().into_owned();
            let walked = tree(&self.path().join(&name), &mut tally, &|| true).reading(&name)?;
            if let Measured::Bytes(bytes) = walked {
                usage.at(Class::of_directory(&name)).bytes += bytes;
            }
        }
        Ok(usage)
    }

    /// Deals out what packs take by the lengths of what is in them.
    fn split_packs(&self, usage: &mut Usage) -> Result<(), ReadError> {
        let total = usage.of(Class::Bodies).bytes;
        let mut lengths: BTreeMap<Class, u128> = BTreeMap::new();
        for pack in self.packs().all()? {
            let raw: u64 = pack.entries().map(|entry| entry.raw_len).sum();
            for entry in pack.entries() {
                let part =
                    u128::from(entry.raw_len) * u128::from(pack.size()) / u128::from(raw.max(1));
                *lengths.entry(Class::of_object(entry.name.kind)).or_default() += part;
            }
        }
        let sum = lengths.values().sum::<u128>().max(1);
        for (class, length) in lengths.into_iter().filter(|(class, _)| *class != Class::Bodies) {
            let part = u64::try_from(u128::from(total) * length / sum).unwrap_or(total);
            usage.at(class).bytes += part;
            usage.at(Class::Bodies).bytes -= part;
        }
        Ok(())
    }

    /// Directories that no named image has, or whose files are elsewhere, can go.
    fn count_lives(
        &self,
        usage: &mut Usage,
        named: &BTreeSet<crate::id::LayerId>,
    ) -> Result<(), ReadError> {
        let (uses, go_on) = (self.uses(), || true);
        let measure = Measure::new(self, &go_on);
        let mut needed = 0;
        for (name, live) in self.lives()? {
            let is_needed = named.contains(&live.layer)
                && !Evicted::default().can_be_unpacked(self, &live.layer)?;
            if is_needed {
                needed += measure.live(&name, &uses)?;
            }
        }
        let portion = usage.at(Class::Live);
        portion.reclaimable = portion.bytes.saturating_sub(needed);
        Ok(())
    }
}

fn needed(weight: &Weight, class: Class) -> u64 {
    Kind::ALL
        .into_iter()
        .filter(|kind| Class::of_object(*kind) == class)
        .map(|kind| weight.of(kind))
        .sum()
}

#[cfg(test)]
mod tests;
