//! What a client is told by whoever makes it; it reads no environment and no clock of its own.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::credentials::Credentials;
use crate::hosts::Hosts;
use crate::learned::Learned;
use crate::notice::Notices;
use crate::proxy::Proxies;
use crate::traffic::Traffic;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where user names and passwords come from.
    pub credentials: Credentials,
    /// Hosts, with their port if any, that may show any certificate, and where nothing speaks TLS are
    /// spoken to without. Loopback addresses always are.
    pub insecure: BTreeSet<String>,
    /// How registries are reached where their names do not say.
    pub hosts: Hosts,
    /// The proxies for requests, and the hosts that are reached without.
    pub proxies: Proxies,
    /// PEM files, or directories of such, of certificate authorities that are trusted beside the system's.
    pub certificate_authorities: Vec<PathBuf>,
    /// What the client calls itself.
    pub user_agent: String,
    /// Time and chance.
    pub timing: Arc<dyn Timing>,
    /// What registries were found to do otherwise.
    pub learned: Arc<Learned>,
    /// What it shares with other clients.
    pub traffic: Arc<Traffic>,
    /// Who hears what happens on the way.
    pub notices: Arc<dyn Notices>,
}

/// Time and chance, so that tests need neither.
pub trait Timing: fmt::Debug + Send + Sync {
    /// A monotonic clock.
    fn now(&self) -> Instant;
    /// Waits.
    fn sleep(&self, time: Duration);
    /// A number nobody can foresee.
    fn random(&self) -> u64;
}

/// The system's time, and the randomness of the standard library's hash maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemTiming;

impl Timing for SystemTiming {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn random(&self) -> u64 {
        RandomState::new().hash_one(0)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            credentials: Credentials::default(),
            insecure: BTreeSet::new(),
            hosts: Hosts::default(),
            proxies: Proxies::default(),
            certificate_authorities: Vec::new(),
            user_agent: concat!("wythe/", env!("CARGO_PKG_VERSION")).to_owned(),
            timing: Arc::new(SystemTiming),
            learned: Arc::default(),
            traffic: Arc::default(),
            notices: Arc::new(()),
        }
    }
}
