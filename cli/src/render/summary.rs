//! What a build came to, in a line or two or in one object.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::chain::Link;
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
    /// How long the build took.
    pub(crate) took: Duration,
    /// The steps that it is as long as, first step first.
    pub(crate) critical: Vec<Link>,
}

impl BuildSummary {
    pub(crate) fn fields(&self) -> Value {
        let cached = self.cached.iter().map(|(name, hits)| json!({"cache": name, "hits": hits}));
        let critical = self.critical.iter();
        let critical =
            critical.map(|link| json!({"name": link.name, "took": link.took.as_secs_f64()}));
        json!({
            "ran": self.ran,
            "stored": self.stored,
            "cached": cached.collect::<Vec<_>>(),
            "fetched": self.fetched,
            "sent": self.sent,
            "saved": self.saved.as_secs_f64(),
            "took": self.took.as_secs_f64(),
            "critical": critical.collect::<Vec<_>>(),
        })
    }

    /// The critical path as a line, where it is more than one step.
    pub(crate) fn path(&self) -> Option<String> {
        let [first, _, ..] = &*self.critical else { return None };
        let last = self.critical.last()?;
        let link = |link: &Link| format!("{} {}", link.short(), Elapsed(link.took));
        let links: Vec<String> = self.critical.iter().map(link).collect();
        let whole = (last.started + last.took).saturating_sub(first.started);
        Some(format!("{}; {} of {}", links.join(" > "), Elapsed(whole), Elapsed(self.took)))
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
        write!(out, "; took {}", Elapsed(self.took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_there_is_to_say() {
        let mut summary = BuildSummary { ran: 1, ..BuildSummary::default() };
        assert_eq!(summary.to_string(), "1 step: 1 ran; took 0.0s");
        summary.stored = 2;
        summary.cached = vec![("registry r.example/app:cache".to_owned(), 3)];
        (summary.fetched, summary.sent) = (12_345, 0);
        summary.saved = Duration::from_secs(125);
        summary.took = Duration::from_secs(4);
        let expected = "6 steps: 1 ran, 2 in the store, 3 in registry r.example/app:cache; 12.3kB fetched, 0B sent; 2m05s saved; took 4.0s";
        assert_eq!(summary.to_string(), expected);
        assert_eq!(summary.fields()["cached"][0]["hits"], 3);
    }

    #[test]
    fn a_path_of_several_steps_is_told() {
        let seconds = Duration::from_secs;
        let link = |name: &str, started, took| Link {
            name: name.to_owned(),
            started: seconds(started),
            took: seconds(took),
        };
        let mut summary = BuildSummary { took: seconds(10), ..BuildSummary::default() };
        summary.critical = vec![link("[a 1/2] FROM x", 1, 2)];
        assert_eq!(summary.path(), None);
        summary.critical.push(link("[a 2/2] RUN y", 4, 5));
        let expected = "[a 1/2] 2.0s > [a 2/2] 5.0s; 8.0s of 10.0s";
        assert_eq!(summary.path().as_deref(), Some(expected));
        assert_eq!(summary.fields()["critical"][1]["name"], "[a 2/2] RUN y");
    }
}
