//! Which addresses are those of the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Range {
    first: IpAddr,
    bits: u8,
}

impl Range {
    /// An address, perhaps with a slash and how many of its bits count.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(one, two)| (one, Some(two)));
        let first: IpAddr = address.parse().ok()?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits =
            bits.map_or(Some(most), |bits| bits.parse().ok().filter(|bits| *bits <= most))?;
        Some(Self { first, bits })
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        let differ = match (self.first, plain(address)) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                u128::from(one.to_bits() ^ other.to_bits()) << 96
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => one.to_bits() ^ other.to_bits(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        differ.leading_zeros() >= u32::from(self.bits)
    }
}

/// An address of IPv4 that is written as one of IPv6, as the former.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Whether an address is one of the internet: not of this machine, of a network around it, of a cloud's services for
/// its machines, or of nobody.
pub(super) fn is_outer(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(four) => is_outer_v4(four),
        IpAddr::V6(six) => is_outer_v6(six),
    }
}

fn is_outer_v4(address: Ipv4Addr) -> bool {
    let is_inner = |(first, bits): &([u8; 4], u32)| {
        let differ = address.to_bits() ^ Ipv4Addr::from(*first).to_bits();
        differ.leading_zeros() >= *bits
    };
    !INNER.iter().any(is_inner)
}

fn is_outer_v6(address: Ipv6Addr) -> bool {
    let [one, two, three, ..] = address.segments();
    let four = |at: u32| Ipv4Addr::from_bits(truncated(address.to_bits() >> at));
    match (one, two) {
        // What leads to IPv4 is as that: translation, and a tunnel through the address.
        (0x64, 0xff9b) if three == 0 => is_outer_v4(four(0)),
        (0x2002, _) => is_outer_v4(four(80)),
        // A tunnel to wherever a server of it says, and examples.
        (0x2001, 0 | 0xdb8) => false,
        // All others that are given to anybody.
        _ => one & 0xe000 == 0x2000,
    }
}

/// The lowest 32 bits.
fn truncated(bits: u128) -> u32 {
    u32::try_from(bits & u128::from(u32::MAX)).unwrap_or_default()
}

/// Networks of IPv4 that are no part of the internet, and how many bits they have in common.
const INNER: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    // Of carriers, and of clouds: 100.100.100.200 knows secrets of a machine.
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    // 169.254.169.254 and its like are there.
    ([169, 254, 0, 0], 16),
    // The agent of machines of Azure.
    ([168, 63, 129, 16], 32),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];
