//! What surrounds a command, be it a step's or that of `wythe run`.

use std::net::IpAddr;

use clap::Args;
use wythe_builder::options::HostEntry;
use wythe_sandbox::step::Limit;

use super::limits::{Size, Ulimit};
use crate::failure::Failure;

/// What surrounds a command
#[derive(Debug, Args)]
pub(crate) struct SurroundingsArgs {
    /// A line for /etc/hosts
    #[arg(long, value_name = "HOST:IP")]
    pub(crate) add_host: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<Size>,
    /// A resource limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<Ulimit>,
}

impl SurroundingsArgs {
    /// The lines for `/etc/hosts`.
    pub(crate) fn hosts(&self) -> Result<Vec<HostEntry>, Failure> {
        self.add_host.iter().map(|text| host(text)).collect()
    }

    /// The resource limits.
    pub(crate) fn limits(&self) -> impl Iterator<Item = Limit> {
        self.ulimit.iter().map(|limit| limit.0)
    }

    /// The size of `/dev/shm`, where one is said.
    pub(crate) fn shm_size(&self) -> Option<u64> {
        self.shm_size.map(|size| size.0)
    }
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`, the address perhaps in brackets.
fn host(text: &str) -> Result<HostEntry, Failure> {
    let bad = || {
        Failure::usage(format!(
            "--add-host: {text:?} is not a name and an address, such as db:10.0.0.1"
        ))
    };
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    Ok(HostEntry { name: name.to_owned(), address })
}
