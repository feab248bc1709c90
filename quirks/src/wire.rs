//! What goes over a connection, in the clear or over TLS.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, Stream};

/// How long who was refused has to go away: who closes first while something comes in takes back what it said last.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is read meanwhile.
const LINGERING: u64 = 1 << 20;

/// A connection to a client.
pub(crate) struct Wire {
    socket: TcpStream,
    tls: Option<RefCell<ServerConnection>>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Wire").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Wire {
    /// A connection that was accepted. The handshake is made when it is first read.
    pub(crate) fn new(socket: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let tls = tls.map(|config| ServerConnection::new(Arc::clone(config))).transpose();
        let tls = tls.map_err(io::Error::other)?.map(RefCell::new);
        Ok(Self { socket, tls })
    }

    /// Whether the client has shown a certificate.
    pub(crate) fn shows_certificate(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.borrow().peer_certificates().is_some())
    }

    /// Ends it in order.
    pub(crate) fn end(&self) -> io::Result<()> {
        if let Some(tls) = &self.tls {
            let mut tls = tls.borrow_mut();
            tls.send_close_notify();
            tls.complete_io(&mut &self.socket)?;
        }
        self.socket.shutdown(Shutdown::Both)
    }

    /// Sends away who does not speak as is spoken here; over TLS that was said by the handshake.
    pub(crate) fn refuse(&self) -> io::Result<()> {
        if self.tls.is_none() {
            (&self.socket).write_all(b"HTTP/1.1 400 Quirks\r\nConnection: close\r\n\r\n")?;
        }
        self.socket.shutdown(Shutdown::Write)?;
        self.socket.set_read_timeout(Some(PATIENCE))?;
        io::copy(&mut (&self.socket).take(LINGERING), &mut io::sink()).map(drop)
    }

    /// Ends it as a machine does that has lost it.
    pub(crate) fn reset(&self) -> io::Result<()> {
        let linger = Some(Duration::ZERO);
        Ok(rustix::net::sockopt::set_socket_linger(&self.socket, linger)?)
    }
}

impl Read for &Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = &self.socket;
        match &self.tls {
            None => socket.read(buffer),
            Some(tls) => Stream::new(&mut *tls.borrow_mut(), &mut socket).read(buffer),
        }
    }
}

impl Write for &Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = &self.socket;
        match &self.tls {
            None => socket.write(bytes),
            Some(tls) => Stream::new(&mut *tls.borrow_mut(), &mut socket).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut socket = &self.socket;
        match &self.tls {
            None => socket.flush(),
            Some(tls) => Stream::new(&mut *tls.borrow_mut(), &mut socket).flush(),
        }
    }
}
