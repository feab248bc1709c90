//! A network of a step's own, into which this program reaches.
//!
//! It has a loopback device and nothing else, so that a step in it reaches nothing but what is listening there. This
//! program can: a socket stays in the network where it was made, whoever has it.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::process::{Child, Command};
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
            self.enter()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        })
    }

    /// Starts a program that serves it: its standard input is this network, and it ends with this thread.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn served_by(&self, program: &mut Command) -> io::Result<Child> {
        sys::end_with_thread(program);
        program.stdin(self.descriptor.try_clone()?).spawn()
    }

    /// Whether a way leads out of it.
    ///
    /// # Errors
    ///
    /// There is no `/proc` to tell.
    pub fn leads_out(&self) -> io::Result<bool> {
        let routes = aside(|| {
            self.enter()?;
            let of_four = fs::read_to_string("/proc/thread-self/net/route")?;
            Ok(of_four
                + &fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap_or_default())
        })?;
        Ok(routes.lines().any(is_way_out))
    }

    fn enter(&self) -> io::Result<()> {
        let own = self.descriptor.as_fd();
        Ok(move_into_link_name_space(own, Some(LinkNameSpaceType::Network))?)
    }

    /// The descriptor by which a process enters it.
    pub(crate) fn door(&self) -> RawFd {
        self.descriptor.as_raw_fd()
    }
}

/// Whether a line of the kernel's tables of routes is a way to everywhere: by IPv4 the device and the destination come first, by
/// IPv6 the destination and the length of what counts of it, and the device last.
fn is_way_out(line: &str) -> bool {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    match fields[..] {
        [device, "00000000", ..] => device != "lo",
        [destination, "00", .., device] => {
            destination.bytes().all(|byte| byte == b'0') && device != "lo"
        }
        _ => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_route_of_another_device_than_the_loopback_is_a_way_out() {
        assert!(!is_way_out("Iface\tDestination\tGateway \tFlags"));
        assert!(is_way_out("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0"));
        assert!(!is_way_out("eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0"));
        let six = "00000000000000000000000000000000 00 00000000000000000000000000000000 00";
        assert!(!is_way_out(&format!("{six} 0 ffffffff 1 0 00200200 lo")));
        assert!(is_way_out(&format!("{six} fe800000000000000000000000000001 400 1 0 3 eth0")));
    }
}
