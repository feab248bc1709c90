//! What a build came to, in one line or one object.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::quantity::{Bytes, Elapsed};

/// What a build came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct BuildSummary {
    /// How many steps ran.
    pub(crate) ran: usize,
    /// How many had a result in the store.
    pub(crate) stored: usize,
    /// How many had one in a cache of other machines, by its name.
    pub(crate) cached: Vec<(String, usize)>,
    /// How many bytes of blobs came over the network, or from a cache.
    pub(crate) fetched: u64,
    /// How many went to registries and caches.
    pub(crate) sent: u64,
    /// How long the steps took, when they ran, whose results were found.
    pub(crate) saved: Duration,
}

impl BuildSummary {
    pub(crate) fn fields(&self) -> Value {
        let cached = self.cached.iter().map(|(name, hits)| json!({"cache": name, "hits": hits}));
        json!({
            "ran": self.ran,
            "stored": self.stored,
            "cached": cached.collect::<Vec<_>>(),
            "fetched": self.fetched,
            "sent": self.sent,
            "saved": self.saved.as_secs_f64(),
        })
    }
}

impl fmt::Display for BuildSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found: usize = self.cached.iter().map(|(_, hits)| hits).sum();
        let steps = self.ran + self.stored + found;
        write!(out, "{steps} {}: {} ran", if steps == 1 { "step" } else { "steps" }, self.ran)?;
        if self.stored > 0 {
            write!(out, ", {} in the store", self.stored)?;
        }
        for (name, hits) in &self.cached {
            write!(out, ", {hits} in {name}")?;
        }
        if self.fetched > 0 || self.sent > 0 {
            write!(out, "; {} fetched, {} sent", Bytes(self.fetched), Bytes(self.sent))?;
        }
        if !self.saved.is_zero() {
            write!(out, "; {} saved", Elapsed(self.saved))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_there_is_to_say() {
        let mut summary = BuildSummary { ran: 1, ..BuildSummary::default() };
        assert_eq!(summary.to_string(), "1 step: 1 ran");
        summary.stored = 2;
        summary.cached = vec![("registry r.example/app:cache".to_owned(), 3)];
        (summary.fetched, summary.sent) = (12_345, 0);
        summary.saved = Duration::from_secs(125);
        let expected = "6 steps: 1 ran, 2 in the store, 3 in registry r.example/app:cache; 12.3kB fetched, 0B sent; 2m05s saved";
        assert_eq!(summary.to_string(), expected);
        assert_eq!(summary.fields()["cached"][0]["hits"], 3);
    }
}
