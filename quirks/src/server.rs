//! A registry that listens.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::certificates::{self, Clients, Handshakes};
use crate::connection;
use crate::contents::Contents;
use crate::journal::{Counts, Entry, Journal, Origin};
use crate::quirks::{Flag, Quirks};
use crate::wire::Wire;

/// Who is let in, where anybody is asked.
pub const USER: &str = "canary";
/// Their password. Nothing else is called so: where it is found, it was sent.
pub const PASSWORD: &str = "quirks-canary-password";
/// What takes the place of the password at a token service that wants one.
pub const IDENTITY_TOKEN: &str = "quirks-canary-identity-token";

/// Where a server is, and where it keeps things.
#[derive(Debug)]
pub struct Place {
    /// Where the registry listens; port 0 for any.
    pub registry: SocketAddr,
    /// The same for the storage, which has to be another host.
    pub storage: SocketAddr,
    /// Where there is room for blobs. Nothing of them is left behind.
    pub directory: PathBuf,
    /// Where a line of JSON is written for each request.
    pub journal: Option<File>,
    /// Where the files of [`certificates::FILES`] are written, if TLS is spoken; otherwise beside the blobs.
    pub certificates: Option<PathBuf>,
    /// What the registry is called in addresses and its certificate, where something else leads clients here.
    pub name: Option<String>,
    /// The same for the storage.
    pub storage_name: Option<String>,
    /// Who is let in, and their password.
    pub user: (String, String),
}

impl Place {
    /// Ports of this machine that are free.
    pub fn here(directory: PathBuf) -> Self {
        let (registry, storage) = ([127, 0, 0, 1], [127, 0, 0, 2]);
        let (registry, storage) = ((registry, 0).into(), (storage, 0).into());
        Self {
            registry,
            storage,
            directory,
            journal: None,
            certificates: None,
            name: None,
            storage_name: None,
            user: (USER.to_owned(), PASSWORD.to_owned()),
        }
    }
}

/// A registry that listens until it is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    stopped: Arc<AtomicBool>,
}

/// What connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) quirks: Quirks,
    /// `host:port` of the registry.
    registry: String,
    /// `host:port` of the storage.
    storage: String,
    /// What they are called in addresses.
    names: [String; 2],
    pub(crate) user: (String, String),
    pub(crate) directory: PathBuf,
    pub(crate) journal: Journal,
    /// Where TLS is spoken.
    handshakes: Option<Handshakes>,
    contents: Mutex<Contents>,
}

impl Shared {
    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a path at one of the two.
    pub(crate) fn url(&self, origin: Origin, path: &str) -> String {
        let scheme = if self.handshakes.is_some() { "https" } else { "http" };
        let [registry, storage] = &self.names;
        let host = match origin {
            Origin::Registry => registry,
            Origin::Storage => storage,
        };
        format!("{scheme}://{host}{path}")
    }
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// If an address cannot be listened at, or certificates cannot be written.
    pub fn start(quirks: Quirks, place: Place) -> io::Result<Self> {
        let registry = TcpListener::bind(place.registry)?;
        let storage = TcpListener::bind(place.storage)?;
        let (busy, collected) = (quirks.busy, quirks.collected);
        let handshakes = handshakes(&quirks, [&registry, &storage], &place)?;
        let own = [registry.local_addr()?.to_string(), storage.local_addr()?.to_string()];
        let names = [place.name.as_ref(), place.storage_name.as_ref()];
        let names = [0, 1].map(|at| names[at].unwrap_or(&own[at]).clone());
        let [registry_address, storage_address] = own;
        let shared = Arc::new(Shared {
            quirks,
            handshakes,
            registry: registry_address,
            storage: storage_address,
            names,
            user: place.user,
            directory: place.directory,
            journal: Journal::new(place.journal),
            contents: Mutex::new(Contents::new(busy, collected)),
        });
        let stopped = Arc::new(AtomicBool::new(false));
        for (listener, origin) in [(registry, Origin::Registry), (storage, Origin::Storage)] {
            let (shared, stopped) = (Arc::clone(&shared), Arc::clone(&stopped));
            thread::spawn(move || listen(&listener, origin, (&shared, &stopped)));
        }
        Ok(Self { shared, stopped })
    }

    /// `host:port` of the registry.
    pub fn registry(&self) -> &str {
        &self.shared.registry
    }

    /// `host:port` of the storage.
    pub fn storage(&self) -> &str {
        &self.shared.storage
    }

    /// The sums of what was asked so far.
    pub fn counts(&self) -> Counts {
        self.shared.journal.counts()
    }

    /// What was asked so far.
    pub fn entries(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        for address in [&self.shared.registry, &self.shared.storage] {
            // Only to wake who listens; it is no matter if nobody does.
            drop(TcpStream::connect(address));
        }
    }
}

/// What handshakes go by, where TLS is spoken.
fn handshakes(
    quirks: &Quirks,
    listeners: [&TcpListener; 2],
    place: &Place,
) -> io::Result<Option<Handshakes>> {
    let clients = match (quirks.has(Flag::Tls), quirks.has(Flag::ClientCertificates)) {
        (_, true) => Clients::Asked,
        (true, false) => Clients::Unasked,
        (false, false) => return Ok(None),
    };
    let [registry, storage] = listeners;
    let addresses = [registry.local_addr()?, storage.local_addr()?];
    let directory = place.certificates.as_ref().unwrap_or(&place.directory);
    let names = [place.name.as_ref(), place.storage_name.as_ref()].into_iter().flatten();
    let names = addresses.iter().map(|address| address.ip().to_string()).chain(names.cloned());
    certificates::make(names.chain(["localhost".to_owned()]).collect(), clients, directory)
        .map(Some)
}

fn listen(listener: &TcpListener, origin: Origin, (shared, stopped): (&Arc<Shared>, &AtomicBool)) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        // A client that went away again.
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let handshakes = shared.handshakes.as_ref().map(|handshakes| match origin {
                Origin::Registry => &handshakes.registry,
                Origin::Storage => &handshakes.storage,
            });
            let served = Wire::new(stream, handshakes)
                .and_then(|wire| connection::serve(&shared, origin, &wire));
            // A connection that breaks is what this is about.
            drop(served);
        });
    }
}
