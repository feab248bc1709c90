//! What registries were found to do otherwise, remembered for a while so that nobody runs into it again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How long something is believed, in seconds: seven days. Registries are updated.
const LIFE: u64 = 7 * 24 * 60 * 60;
/// The most that is remembered.
const MAX_ENTRIES: usize = 1000;

/// What a registry does otherwise.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Habit {
    /// It sends all of a blob to who asks for a part.
    IgnoresRanges,
    /// It takes no manifest that refers to another and has an `artifactType`.
    RefusesArtifactTypes,
    /// It answers no `HEAD` for manifests.
    RefusesHeads,
    /// It takes no blob over from another of its repositories.
    RefusesMounts,
    /// It takes no manifest that refers to another.
    RefusesSubjects,
    /// It, or what stands in front of it, takes long blobs in pieces only.
    WantsPieces,
}

/// What was found, by host.
#[derive(Debug, Default)]
pub struct Learned {
    /// Since when it is known, in seconds since 1970.
    found: Mutex<BTreeMap<(String, Habit), u64>>,
    /// The time at which this was made.
    now: u64,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    host: String,
    habit: Habit,
    since: u64,
}

impl Learned {
    /// What a text says that [`Self::text`] has made, as far as it is not too old; `now` is in seconds since 1970.
    /// What cannot be read is not known.
    pub fn read(text: &str, now: u64) -> Self {
        // What a newer version has learnt, this one does not understand.
        let entries: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
        let entries = entries.into_iter().take(MAX_ENTRIES);
        let entries = entries.filter_map(|entry| serde_json::from_value::<Entry>(entry).ok());
        let fresh = entries.filter(|entry| entry.since <= now && now - entry.since < LIFE);
        let found = fresh.map(|entry| ((entry.host, entry.habit), entry.since)).collect();
        Self { found: Mutex::new(found), now }
    }

    /// What is known, for [`Self::read`].
    pub fn text(&self) -> String {
        let found = self.lock();
        let entries = found.iter().map(|((host, habit), since)| Entry {
            host: host.clone(),
            habit: *habit,
            since: *since,
        });
        serde_json::to_string(&entries.collect::<Vec<_>>()).unwrap_or_default()
    }

    /// Adds what somebody else has learnt meanwhile.
    pub fn join(&self, other: &Self) {
        let others = other.lock().clone();
        let mut found = self.lock();
        for (key, since) in others {
            found.entry(key).or_insert(since);
        }
    }

    /// Whether a host is known to do so.
    pub(crate) fn knows(&self, host: &str, habit: Habit) -> bool {
        self.lock().contains_key(&(host.to_owned(), habit))
    }

    /// Notes that a host does so; `true` if that is new.
    pub(crate) fn learn(&self, host: &str, habit: Habit) -> bool {
        let mut found = self.lock();
        found.len() < MAX_ENTRIES && found.insert((host.to_owned(), habit), self.now).is_none()
    }

    /// A panic while it is held leaves the map as it was.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, Habit), u64>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Habit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::IgnoresRanges => "sends whole blobs to who asks for parts of them",
            Self::RefusesArtifactTypes => {
                "takes a manifest that refers to another only without an artifactType"
            }
            Self::RefusesMounts => "takes no blob over from another of its repositories",
            Self::RefusesSubjects => "takes no manifest that refers to another",
            Self::WantsPieces => "takes long blobs in pieces only",
            Self::RefusesHeads => "does not tell what a tag stands for without sending it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_learnt_is_known_for_seven_days() {
        let first = Learned::read("", 1000);
        assert!(first.learn("r.io", Habit::IgnoresRanges));
        assert!(!first.learn("r.io", Habit::IgnoresRanges));
        let knows = |now| Learned::read(&first.text(), now).knows("r.io", Habit::IgnoresRanges);
        assert!(knows(1000) && knows(1000 + LIFE - 1));
        assert!(!knows(1000 + LIFE) && !knows(999));
        assert!(!Learned::read(&first.text(), 1000).knows("s.io", Habit::IgnoresRanges));
    }

    #[test]
    fn what_cannot_be_read_is_not_known_and_the_rest_is() {
        let text = r#"[{"host":"r.io","habit":"of-the-future","since":1},
            {"host":"r.io","habit":"refuses-heads","since":1}, 7]"#;
        assert!(Learned::read(text, 2).knows("r.io", Habit::RefusesHeads));
        for text in ["", "{}", "[", "null"] {
            assert_eq!(Learned::read(text, 1).text(), "[]");
        }
    }

    #[test]
    fn what_others_have_learnt_meanwhile_is_kept() {
        let (one, other) = (Learned::read("", 1), Learned::read("", 2));
        one.learn("r.io", Habit::RefusesHeads);
        other.learn("s.io", Habit::RefusesHeads);
        one.join(&other);
        assert!(one.knows("r.io", Habit::RefusesHeads) && one.knows("s.io", Habit::RefusesHeads));
    }
}
