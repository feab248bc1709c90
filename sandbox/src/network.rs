//! A network of a step's own, into which this program reaches.
//!
//! It has a loopback device and nothing else, so that a step in it reaches nothing but what is listening there. This
//! program can: a socket stays in the network where it was made, whoever has it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::chroot;
use crate::enter;
use crate::error::{StepCause, StepError};
use crate::sys;

/// A network with a loopback device that is up and nothing else, for as long as this, a socket or a
/// process in it is there.
#[derive(Debug)]
pub struct OwnNetwork {
    descriptor: File,
}

impl OwnNetwork {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// There are no namespaces to have it in, or as many as the kernel allows.
    pub fn new() -> Result<Self, StepError> {
        let failed = |cause| StepError { doing: "making a network for a step".to_owned(), cause };
        if chroot::is_settled() {
            return Err(failed(StepCause::NeedsNamespaces {
                what: "a network of its own".to_owned(),
            }));
        }
        if !enter::is_entered() {
            return Err(failed(StepCause::NotEntered));
        }
        let made = aside(|| {
            sys::unshare(libc::CLONE_NEWNET)?;
            sys::raise_loopback()?;
            // It is not the step's own: its root would have no say over the low ports.
            let opened = fs::write(FIRST_OPEN_PORT, "0");
            tracing::trace!(?opened, "low ports of a network");
            File::open("/proc/thread-self/ns/net")
        });
        made.map(|descriptor| Self { descriptor }).map_err(|error| failed(StepCause::Io(error)))
    }

    /// Listens on a port of its loopback device.
    ///
    /// # Errors
    ///
    /// Somebody else does, or the kernel refuses.
    pub fn listen(&self, port: u16) -> io::Result<TcpListener> {
        aside(|| {
            let own = self.descriptor.as_fd();
            move_into_link_name_space(own, Some(LinkNameSpaceType::Network))?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        })
    }

    /// The descriptor by which a process enters it.
    pub(crate) fn door(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// The first port that everybody may listen on, in the network of whoever opens the file.
const FIRST_OPEN_PORT: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// Does something on a thread of its own, which may leave the network of the others.
fn aside<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("network".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of a network failed")))
    })
}
