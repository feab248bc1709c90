//! The proxy of one step: who asks for what, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::shutdown;
use wythe_sandbox::StepError;
use wythe_sandbox::error::StepCause;
use wythe_sandbox::network::OwnNetwork;

use super::request::{self, Kind, Request};
use super::{Contact, EgressList, MAX_CONTACTS, Refusal, Verdict, relay};

/// Where the proxy is in the network of a step. The same for all, so that a step that keeps its environment makes the
/// same files again; above the ports that the kernel gives to connections, and nobody's.
pub(super) const PORT: u16 = 61_080;

/// So many connections a step may have at once: several times what package managers open.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to say what it wants.
const HEAD_TIME: Duration = Duration::from_mins(1);

/// How long an address may take to answer before the next one is tried.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Threads copy from one connection to another, and look up names.
const STACK: usize = 512 << 10;

/// What is told of a step while it runs.
#[derive(Debug)]
pub(crate) enum Told {
    /// It asked for a host, for the first time.
    Contact(Contact),
    /// All that it asked for until now was told; whoever waits for that is to know.
    SoFar(Sender<()>),
    /// There will be no more.
    End,
}

/// A network of a step with a proxy in it, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Gate {
    network: Arc<OwnNetwork>,
    proxy: Proxy,
}

impl Gate {
    /// Opens one, which goes where `list` says; `names` are addresses that were given for names.
    pub(crate) fn open(
        list: &EgressList,
        names: Vec<(String, IpAddr)>,
    ) -> Result<(Self, Receiver<Told>), StepError> {
        let network = Arc::new(OwnNetwork::new()?);
        let opened = network.listen(PORT).and_then(|listener| Proxy::start(listener, list, names));
        let (proxy, told) = opened.map_err(|error| StepError {
            doing: "opening the proxy of a step".to_owned(),
            cause: StepCause::Io(error),
        })?;
        Ok((Self { network, proxy }, told))
    }

    /// The network that the step is to be in.
    pub(crate) fn network(&self) -> Arc<OwnNetwork> {
        self.network.clone()
    }

    /// Waits until all that the step asked for was told.
    pub(crate) fn flush(&self) {
        self.proxy.flush();
    }
}

/// What answers requests.
#[derive(Debug)]
pub(super) struct Proxy {
    listener: Arc<TcpListener>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Answers what comes to `listener`.
    pub(super) fn start(
        listener: TcpListener,
        list: &EgressList,
        names: Vec<(String, IpAddr)>,
    ) -> io::Result<(Self, Receiver<Told>)> {
        let (teller, told) = channel();
        let (seen, open) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { list: list.clone(), names, teller, seen, open });
        let listener = Arc::new(listener);
        let (door, work) = (listener.clone(), shared.clone());
        let thread = threads().spawn(move || accept(&door, &work))?;
        Ok((Self { listener, shared, thread: Some(thread) }, told))
    }

    pub(super) fn flush(&self) {
        let (done, is_done) = channel();
        if self.shared.teller.send(Told::SoFar(done)).is_ok() {
            // An error says that nobody listens any more.
            let _ = is_done.recv();
        }
    }
}

impl Drop for Proxy {
    /// Ends all connections. A thread that looks up a name meanwhile finds that out afterwards.
    fn drop(&mut self) {
        let mut open = self.shared.open();
        open.is_closed = true;
        for stream in open.streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(open);
        // This wakes up who waits for a client.
        let _ = shutdown(&self.listener, rustix::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = self.shared.teller.send(Told::End);
    }
}

/// What the connections of a step have in common.
#[derive(Debug)]
pub(super) struct Shared {
    list: EgressList,
    names: Vec<(String, IpAddr)>,
    teller: Sender<Told>,
    seen: Mutex<BTreeSet<Contact>>,
    open: Mutex<Open>,
}

/// What is to be closed in the end.
#[derive(Debug, Default)]
struct Open {
    is_closed: bool,
    next: u64,
    streams: BTreeMap<u64, TcpStream>,
}

/// A connection that is closed in the end, should that come first.
#[derive(Debug)]
pub(super) struct Held<'s> {
    shared: &'s Shared,
    number: u64,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.shared.open().streams.remove(&self.number);
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a connection closed when the step has ended, or at once where it has.
    fn hold(&self, stream: &TcpStream) -> io::Result<Held<'_>> {
        let copy = stream.try_clone()?;
        let mut open = self.open();
        if open.is_closed || open.streams.len() >= 2 * MAX_CONNECTIONS {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, copy);
        Ok(Held { shared: self, number })
    }

    /// Answers one request, which is all that a connection is for.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let _held = self.hold(&client)?;
        client.set_read_timeout(Some(HEAD_TIME))?;
        client.set_nodelay(true)?;
        let (head, rest) = request::read_head(&mut client, Vec::new())?;
        let request = match request::parse(&head) {
            Ok(request) => request,
            Err(why) => return refuse(&mut client, "400 Bad Request", why),
        };
        client.set_read_timeout(None)?;
        let server = match self.reach(&request) {
            Ok(server) => server,
            Err((status, why)) => return refuse(&mut client, status, &why),
        };
        let _held = self.hold(&server)?;
        server.set_nodelay(true)?;
        match request.kind {
            Kind::Tunnel => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
                relay::tunnel((client, rest), server)
            }
            Kind::Forward { head, body } => relay::forward((client, rest), server, (&head, body)),
        }
    }

    /// Connects to what a request is for, if that is allowed; else a status and the reason.
    fn reach(&self, request: &Request) -> Result<TcpStream, (&'static str, String)> {
        let Request { host, port, .. } = request;
        let contact = |verdict| Contact { host: host.clone(), port: *port, verdict };
        let reached = self.admit(request).map(|addresses| connect(&addresses));
        let (verdict, reached) = match reached {
            Err(Failure::Refused(refusal)) => {
                let verdict = Verdict::Refused(refusal);
                (verdict, Err(("403 Forbidden", format!("{}: {refusal}", contact(verdict)))))
            }
            Err(Failure::Io(error)) | Ok(Err(error)) => {
                let why = format!("{}: {error}", contact(Verdict::Unreachable));
                (Verdict::Unreachable, Err(("502 Bad Gateway", why)))
            }
            Ok(Ok(server)) => (Verdict::Reached, Ok(server)),
        };
        self.tell(contact(verdict));
        reached
    }

    /// The addresses of a host that may be connected to.
    fn admit(&self, Request { host, port, .. }: &Request) -> Result<Vec<SocketAddr>, Failure> {
        if self.is_one_too_many(host, *port) {
            return Err(Failure::Refused(Refusal::TooMany));
        }
        self.list.admits(host, *port).map_err(Failure::Refused)?;
        let given = self.names.iter().filter(|(name, _)| name.eq_ignore_ascii_case(host));
        let given: Vec<SocketAddr> = given.map(|(_, given)| (*given, *port).into()).collect();
        if !given.is_empty() {
            return Ok(given);
        }
        let found = (host.as_str(), *port).to_socket_addrs().map_err(Failure::Io)?;
        let (mut admitted, mut refusal) = (Vec::new(), None);
        for address in found {
            match self.list.admits_address(address.ip(), *port) {
                Ok(()) => admitted.push(address),
                Err(why) => refusal = Some(why),
            }
        }
        match refusal {
            Some(refusal) if admitted.is_empty() => Err(Failure::Refused(refusal)),
            _ => Ok(admitted),
        }
    }

    fn is_one_too_many(&self, host: &str, port: u16) -> bool {
        let seen = self.seen();
        let is_it = |one: &Contact| one.host == host && one.port == port;
        seen.len() >= MAX_CONTACTS && !seen.iter().any(is_it)
    }

    fn seen(&self) -> MutexGuard<'_, BTreeSet<Contact>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, contact: Contact) {
        let mut seen = self.seen();
        if seen.len() <= MAX_CONTACTS && seen.insert(contact.clone()) {
            // Who does not listen any more does not want to know.
            let _ = self.teller.send(Told::Contact(contact));
        }
    }
}

/// Why a host is not connected to.
enum Failure {
    Refused(Refusal),
    Io(io::Error),
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let client = listener.accept();
        if shared.open().is_closed {
            return;
        }
        let Ok((client, _)) = client else {
            // Out of descriptors, for a while.
            thread::sleep(PAUSE);
            continue;
        };
        let work = shared.clone();
        let serve = move || {
            if let Err(error) = work.serve(client) {
                tracing::debug!(%error, "a connection of a step ended");
            }
        };
        if let Err(error) = threads().spawn(serve) {
            tracing::debug!(%error, "no thread for a connection of a step");
        }
    }
}

/// How long to wait for descriptors.
const PAUSE: Duration = Duration::from_millis(20);

fn threads() -> thread::Builder {
    thread::Builder::new().name("egress".to_owned()).stack_size(STACK)
}

/// Connects to the first address that answers.
fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in addresses {
        match TcpStream::connect_timeout(address, CONNECT_TIME) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Tells a client why there is nothing for it. Some programs show the first line and nothing else.
fn refuse(client: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    let body = format!("wythe: {why}\n");
    let line = format!("HTTP/1.1 {status} ({why})");
    let fields = format!("Content-Type: text/plain\r\nContent-Length: {}", body.len());
    client.write_all(format!("{line}\r\n{fields}\r\nConnection: close\r\n\r\n{body}").as_bytes())
}
