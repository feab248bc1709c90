//! What the machine and the user tell: variables, files, the time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use wythe_registry::client::Client;
use wythe_registry::settings::Timing;

use crate::endpoint::{ParseRegionError, Region};

/// Everything that credentials and addresses are found by.
#[derive(Clone)]
pub struct Surroundings {
    /// The variables whose names begin with `AWS_`.
    pub variables: BTreeMap<String, String>,
    /// The home directory, where `.aws` is.
    pub home: Option<PathBuf>,
    /// The time of day.
    pub clock: Arc<dyn WallClock>,
    /// Waiting and chance, for another attempt.
    pub timing: Arc<dyn Timing>,
    /// Sends requests.
    pub client: Client,
}

/// The time of day: signatures and sessions are good for a while.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// The moment it is.
    fn moment(&self) -> Timestamp;
}

/// Variables hold secrets: only the names of those that are set are shown.
impl fmt::Debug for Surroundings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.variables.keys().collect();
        out.debug_struct("Surroundings")
            .field("variables", &names)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

impl Surroundings {
    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a variable says yes.
    pub fn is_on(&self, name: &str) -> bool {
        self.variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// The region that the variables name.
    ///
    /// # Errors
    ///
    /// If what they say is none.
    pub fn region(&self) -> Result<Option<Region>, ParseRegionError> {
        let named = self.variable("AWS_REGION").or(self.variable("AWS_DEFAULT_REGION"));
        named.map(str::parse).transpose()
    }

    /// A file that a variable names, or one of the folder `.aws`.
    pub(crate) fn file(&self, variable: &str, name: &str) -> Option<PathBuf> {
        let own = || Some(self.home.as_ref()?.join(".aws").join(name));
        let Some(named) = self.variable(variable) else { return own() };
        match (named.strip_prefix("~/"), &self.home) {
            (Some(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(PathBuf::from(named)),
        }
    }

    #[cfg(test)]
    pub(crate) fn bare(pairs: &[(&str, &str)]) -> Self {
        use wythe_registry::fake::timing::InstantTiming;
        use wythe_registry::settings::Settings;

        #[derive(Debug)]
        struct Fixed;

        impl WallClock for Fixed {
            fn moment(&self) -> Timestamp {
                "2026-03-01T00:00:00Z".parse().unwrap()
            }
        }

        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            variables: pairs.iter().map(pair).collect(),
            home: None,
            clock: Arc::new(Fixed),
            timing: Arc::new(InstantTiming::default()),
            client: Client::new(Settings::default()),
        }
    }
}
