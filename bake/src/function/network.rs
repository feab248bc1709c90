//! Functions of network addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bigdecimal::ToPrimitive;

use super::{Call, Function, at_least, exactly};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exactly("cidrhost", 2, host),
    exactly("cidrnetmask", 1, |call| {
        let prefix = Prefix::parse(&call.text(0)?)?;
        if prefix.width != 32 {
            return Err("only IPv4 networks have masks".to_owned());
        }
        Ok(Value::string(prefix.address(prefix.mask()).to_string()))
    }),
    exactly("cidrsubnet", 3, |call| {
        let prefix = Prefix::parse(&call.text(0)?)?;
        let number = call.number(2)?.to_big().to_u128().ok_or("the number has to be positive")?;
        Ok(Value::String(prefix.subnet(call.integer(1)?, number)?.to_string()))
    }),
    at_least("cidrsubnets", 1, subnets),
];

/// A network: its address as a number, and how many bits of it are fixed.
#[derive(Clone, Copy)]
struct Prefix {
    bits: u128,
    length: u32,
    /// The bits of an address.
    width: u32,
}

impl Prefix {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no network, as 10.0.0.0/8 is");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let length: u32 = length.parse().map_err(|_| wrong())?;
        let (bits, width) = match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        if length > width {
            return Err(wrong());
        }
        let prefix = Self { bits, length, width };
        Ok(Self { bits: bits & prefix.mask(), ..prefix })
    }

    /// The free bits.
    fn free(self) -> u32 {
        self.width - self.length
    }

    fn mask(self) -> u128 {
        let all = u128::MAX >> (128 - self.width);
        all & !(1_u128.checked_shl(self.free()).map_or(u128::MAX, |bit| bit - 1))
    }

    fn address(self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.width == 32 => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }

    fn subnet(self, longer: i64, number: u128) -> Result<Self, String> {
        let longer = u32::try_from(longer).ok().filter(|bits| *bits <= self.free());
        let longer = longer.ok_or("there are not so many free bits")?;
        if number.checked_shr(longer).is_some_and(|rest| rest > 0) {
            return Err(format!("{longer} bits have no number {number}"));
        }
        let length = self.length + longer;
        let shifted = number.checked_shl(self.width - length).unwrap_or_default();
        Ok(Self { bits: self.bits | shifted, length, ..self })
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address(self.bits), self.length)
    }
}

fn host(call: &Call<'_>) -> Result<Value, String> {
    let (prefix, number) = (Prefix::parse(&call.text(0)?)?, call.integer(1)?);
    let size = 1_u128.checked_shl(prefix.free());
    let offset = if number < 0 {
        let back = u128::from(number.unsigned_abs());
        // Of all addresses there are, the size itself does not fit.
        size.map_or(Some(back.wrapping_neg()), |size| size.checked_sub(back))
    } else {
        let forth = u128::from(number.unsigned_abs());
        (size.is_none_or(|size| forth < size)).then_some(forth)
    };
    let offset = offset.ok_or_else(|| format!("the network has no host {number}"))?;
    Ok(Value::string(prefix.address(prefix.bits | offset).to_string()))
}

/// Networks one after the other, each by so many bits longer.
fn subnets(call: &Call<'_>) -> Result<Value, String> {
    let prefix = Prefix::parse(&call.text(0)?)?;
    let mut found = Vec::new();
    let mut next = Some(prefix.bits);
    let beyond = 1_u128.checked_shl(prefix.free()).and_then(|size| prefix.bits.checked_add(size));
    for at in 1..call.len() {
        let longer = call.integer(at)?;
        let length = prefix.subnet(longer, 0)?.length;
        let size = 1_u128.checked_shl(prefix.width - length);
        let full = "the network has no room for so many";
        let start = next.ok_or(full)?;
        // A network begins at a multiple of its size.
        let start = size.map_or(Some(start), |size| start.checked_next_multiple_of(size));
        let start = start.ok_or(full)?;
        next = size.and_then(|size| start.checked_add(size));
        if let (Some(next), Some(beyond)) = (next, beyond)
            && next > beyond
        {
            return Err(full.to_owned());
        }
        found.push(Prefix { bits: start, length, ..prefix }.to_string());
    }
    Ok(Value::strings(found))
}
