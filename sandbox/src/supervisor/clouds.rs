//! Services of clouds for their machines, which hand out what the machine, or the task that runs on it, may do. A step that
//! has the network of its container is refused a connection to them, but for names: Google's and Azure's are the
//! machines' name servers, too.
//!
//! The address is read in the memory of the process, and once more by the kernel: a program that changes it in between
//! connects. This keeps scripts from what they are not meant to have, as everything in a chroot, and nobody who fights it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use super::caller::Caller;
use crate::sys::{self, Reply, Request};

/// Answers `connect`.
pub(super) fn answer(listener: &OwnedFd, request: &Request) -> Reply {
    match address(listener, request) {
        Ok(Some(address)) if is_service(address) => Reply::Fail(Errno::ACCESS),
        _ => Reply::Run,
    }
}

fn is_service(address: SocketAddr) -> bool {
    address.port() != NAMES && SERVICES.contains(&address.ip())
}

/// Which address a process connects to, if it is one of the internet's protocols.
fn address(listener: &OwnedFd, request: &Request) -> Result<Option<SocketAddr>, Errno> {
    let caller = Caller::open(request.process)?;
    let (uid, gid) = caller.owner()?;
    let _as_owner = sys::FileUser::become_user(uid, gid);
    let [_, at, length, ..] = request.arguments;
    let length = usize::try_from(length).map_err(|_| Errno::INVAL)?;
    let (bytes, length) = caller.bytes::<LONGEST>(at, length.min(LONGEST))?;
    // Until here the process may have ended, and its number may mean another one.
    sys::is_waiting(listener.as_fd(), request)?;
    Ok(parse(&bytes[..length]))
}

/// What a `struct sockaddr` says.
fn parse(bytes: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = bytes.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let ip = match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => IpAddr::from(*rest.first_chunk::<4>()?),
        // Behind the number of the flow.
        libc::AF_INET6 => IpAddr::from(*rest.get(4..)?.first_chunk::<16>()?).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// The length of a `struct sockaddr_in6`.
const LONGEST: usize = 28;

/// The port of name servers.
const NAMES: u16 = 53;

/// Of machines of Amazon, Google, Azure and most others; of tasks of ECS; of pods of EKS; of machines of Alibaba; of the agent
/// of Azure; and of machines and pods of Amazon by IPv6.
const SERVICES: [IpAddr; 7] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn is_refused(family: i32, rest: &[u8]) -> bool {
        let family = u16::try_from(family).unwrap().to_ne_bytes();
        parse(&[&family, rest].concat()).is_some_and(is_service)
    }

    #[test]
    fn services_of_clouds_are_known_in_every_spelling() {
        assert!(is_refused(libc::AF_INET, &[0, 80, 169, 254, 169, 254, 0, 0]));
        assert!(!is_refused(libc::AF_INET, &[0, 80, 169, 254, 169, 253, 0, 0]));
        assert!(!is_refused(libc::AF_INET, &[0, 53, 169, 254, 169, 254, 0, 0]), "a name server");
        let six = |address: &str| {
            let address: Ipv6Addr = address.parse().unwrap();
            [&[0, 80, 0, 0, 0, 0], &address.octets()[..], &[0; 4]].concat()
        };
        assert!(is_refused(libc::AF_INET6, &six("fd00:ec2::254")));
        assert!(is_refused(libc::AF_INET6, &six("::ffff:169.254.170.2")));
        assert!(!is_refused(libc::AF_INET6, &six("fd00:ec2::1")));
        assert!(!is_refused(libc::AF_UNIX, b"/run/socket\0"));
        assert!(!is_refused(libc::AF_INET, &[0, 80, 169]));
    }
}
