//! Several processes on one simulated disk, of which one runs at a time, in an order that is
//! chosen: what happens between them happens again.
//!
//! Each actor is a thread with a [`Vfs`](crate::vfs::Vfs) of its own ([`stage`]). Before every
//! operation that others could notice it offers to let another actor go first. A [`Schedule`] says
//! where that offer is taken, where an actor is killed, and where the power fails; everywhere else
//! the actor that runs keeps running until it ends or waits for a lock. [`search`] makes such
//! schedules, the ones with fewest deviations first.
//!
//! A schedule is written as it is meant, so that a failing one can be kept as a test:
//!
//! ```text
//! collector/list:leases#2>builder builder/lock:journal#1! @builder/sync:packs#1=Lost
//! ```
//!
//! When the collector is about to list the leases for the second time, the builder goes on; the
//! builder is killed when it is about to lock the journal for the first time; and the disk is
//! looked at as a power cut leaves it that comes when the builder is about to sync a pack.

pub mod search;
pub mod stage;
mod staged;

use std::fmt;
use std::str::FromStr;

use crate::sim::crash::Fate;

/// A moment: an actor is about to do something that others could notice.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct SwitchPoint {
    /// Who.
    pub actor: String,
    /// What, as `operation:area`.
    pub operation: String,
    /// For which time, from 1.
    pub nth: u32,
}

/// Where a schedule is not the plain one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deviation {
    /// The actor is killed: it does this not, and nothing after it; its locks are free.
    Kill(SwitchPoint),
    /// Another actor goes first.
    Switch(SwitchPoint, String),
}

/// An order of things. The empty one runs the actors one after the other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Schedule {
    /// In the order in which they are met.
    pub deviations: Vec<Deviation>,
    /// Where the power fails, and what becomes of what was not synced.
    pub cut: Option<(SwitchPoint, Fate)>,
}

/// The text is no schedule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{word:?} is no part of a schedule")]
pub struct ParseScheduleError {
    /// The part that cannot be read.
    pub word: String,
}

impl Deviation {
    /// Where it is.
    pub fn place(&self) -> &SwitchPoint {
        match self {
            Self::Kill(place) | Self::Switch(place, _) => place,
        }
    }
}

impl Schedule {
    /// This schedule with one more deviation, later than all others.
    #[must_use]
    pub fn then(&self, deviation: Deviation) -> Self {
        let mut longer = self.clone();
        longer.deviations.push(deviation);
        longer
    }

    /// This schedule with a power cut.
    #[must_use]
    pub fn cut_at(&self, place: SwitchPoint, fate: Fate) -> Self {
        Self { deviations: self.deviations.clone(), cut: Some((place, fate)) }
    }
}

impl fmt::Display for SwitchPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.actor, self.operation, self.nth)
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(place) => write!(f, "{place}!"),
            Self::Switch(place, to) => write!(f, "{place}>{to}"),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deviations = self.deviations.iter().map(Deviation::to_string);
        let cut = self.cut.iter().map(|(place, fate)| format!("@{place}={}", fate_text(*fate)));
        f.write_str(&deviations.chain(cut).collect::<Vec<_>>().join(" "))
    }
}

impl FromStr for SwitchPoint {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let parts = || {
            let (actor, rest) = text.split_once('/')?;
            let (operation, nth) = rest.rsplit_once('#')?;
            let nth = nth.parse().ok()?;
            Some(Self { actor: actor.to_owned(), operation: operation.to_owned(), nth })
        };
        parts().ok_or_else(|| ParseScheduleError { word: text.to_owned() })
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let mut schedule = Self::default();
        for word in text.split_whitespace() {
            if let Some(cut) = word.strip_prefix('@') {
                let parts = cut.split_once('=').and_then(|(at, fate)| Some((at, fate_of(fate)?)));
                let (place, fate) =
                    parts.ok_or_else(|| ParseScheduleError { word: word.to_owned() })?;
                schedule.cut = Some((place.parse()?, fate));
            } else if let Some(place) = word.strip_suffix('!') {
                schedule.deviations.push(Deviation::Kill(place.parse()?));
            } else if let Some((place, to)) = word.split_once('>') {
                schedule.deviations.push(Deviation::Switch(place.parse()?, to.to_owned()));
            } else {
                return Err(ParseScheduleError { word: word.to_owned() });
            }
        }
        Ok(schedule)
    }
}

fn fate_text(fate: Fate) -> String {
    match fate {
        Fate::Mixed(seed) => format!("Mixed{seed}"),
        Fate::Kept | Fate::Lost | Fate::NamesOnly | Fate::BytesOnly => format!("{fate:?}"),
    }
}

fn fate_of(text: &str) -> Option<Fate> {
    match text {
        "Kept" => Some(Fate::Kept),
        "Lost" => Some(Fate::Lost),
        "NamesOnly" => Some(Fate::NamesOnly),
        "BytesOnly" => Some(Fate::BytesOnly),
        _ => Some(Fate::Mixed(text.strip_prefix("Mixed")?.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_reads_back_from_its_text() {
        let text = "collector/list:leases#2>builder builder/lock:journal#1! @b/sync:packs#3=Lost";
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.deviations.len(), 2);
        assert_eq!(schedule.to_string(), text);
        let mixed = Schedule::default().cut_at(schedule.cut.unwrap().0, Fate::Mixed(7));
        assert_eq!(mixed.to_string().parse(), Ok(mixed));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_word() {
        for word in ["x", "a>b", "a/b!", "@a/b:c#1", "@a/b:c#1=Eaten", "a/b:c#x!"] {
            let error = format!("a/b:c#1! {word}").parse::<Schedule>().unwrap_err();
            assert!(word.contains(&error.word) || error.word == word, "{word}: {error}");
        }
    }
}
