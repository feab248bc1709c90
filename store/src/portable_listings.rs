//! Listings as they travel: the files that a step read, beside its record, so that a machine which never built a
//! project can say which of them changed.
//!
//! # Form
//!
//! Zstandard over: version 1 (1), then each listing with its length (4, little-endian) before it. What they are
//! called the inputs of the record say, by the ids of their bytes.

use std::io;

use crate::action::LISTING;
use crate::error::{ReadError, WriteError};
use crate::id::{BodyId, unhex};
use crate::lease::Lease;
use crate::oci::descriptor::Descriptor;
use crate::oci::document::MAX_DOCUMENT;
use crate::oci::media_type::MediaType;
use crate::store::Store;

/// The type of the blob.
pub const LISTINGS_TYPE: &str = "application/vnd.wythe.cache.listings.v1+zstd";

const VERSION: u8 = 1;
/// What all listings of a step may have together: some of the largest that are kept. Beyond that the step is
/// explained without names of files.
const MAX_SIZE: usize = 16 << 20;
const LEVEL: i32 = 3;

/// Why listings are not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingsError {
    /// The store cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The store cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// They cannot be packed.
    #[error("cannot pack listings")]
    Pack(#[from] io::Error),
}

/// The blob of the listings that some inputs name, which the store hands out as long as the lease lives; none where
/// they name none that is here, or very long ones.
///
/// # Errors
///
/// If the store fails.
pub fn pack(
    lease: &Lease,
    inputs: &[(String, String)],
) -> Result<Option<Descriptor>, ListingsError> {
    let mut all = vec![VERSION];
    for (_, id) in inputs.iter().filter(|(name, _)| name.starts_with(LISTING)) {
        let Some(listing) = listing(lease.store(), id)? else { continue };
        if MAX_SIZE < all.len() + listing.len() {
            return Ok(None);
        }
        let length = u32::try_from(listing.len()).map_err(io::Error::other)?;
        all.extend_from_slice(&length.to_le_bytes());
        all.extend_from_slice(&listing);
    }
    if all.len() == 1 {
        return Ok(None);
    }
    let packed = zstd::bulk::compress(&all, LEVEL)?;
    if MAX_DOCUMENT < packed.len() {
        return Ok(None);
    }
    lease.put_document(&packed)?;
    Ok(Some(Descriptor::of(MediaType::new(LISTINGS_TYPE), &packed)))
}

fn listing(store: &Store, id: &str) -> Result<Option<Vec<u8>>, ReadError> {
    let Some(id) = unhex(id).map(BodyId::from_bytes) else { return Ok(None) };
    let body = store.body(&id)?;
    Ok(body.map(|body| body.load()).transpose()?.map(|bytes| bytes.to_vec()))
}

/// Puts what [`pack`] made into a store, each under the id that the inputs say. What makes no sense is left out.
///
/// # Errors
///
/// If the store cannot be written.
pub fn unpack(lease: &Lease, packed: &[u8]) -> Result<(), WriteError> {
    let all = zstd::bulk::decompress(packed, MAX_SIZE).unwrap_or_default();
    let Some((&VERSION, mut rest)) = all.split_first() else { return Ok(()) };
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let Some((listing, after)) = after.split_at_checked(length) else { break };
        lease.put_body(listing)?;
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::image::catalog::StoredContent;
    use crate::oci::content::Content as _;
    use crate::store::OpenOptions;

    #[test]
    fn listings_are_in_another_store_under_the_ids_that_inputs_say() {
        let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let open = |at: usize| Store::open(folders[at].path(), &OpenOptions::default()).unwrap();
        let (here, there) = (open(0).lease().unwrap(), open(1).lease().unwrap());
        let inputs: Vec<(String, String)> = [&b"one"[..], b"", b"two"]
            .iter()
            .map(|bytes| (format!("{LISTING}x"), here.put_body(bytes).unwrap().to_string()))
            .chain([("argument".to_owned(), "make".to_owned())])
            .collect();
        let blob = pack(&here, &inputs).unwrap().unwrap();
        let mut packed = Vec::new();
        StoredContent(here.store()).open(&blob).unwrap().read_to_end(&mut packed).unwrap();
        unpack(&there, &packed).unwrap();
        for (name, id) in &inputs {
            let is_listing = name.starts_with(LISTING);
            assert_eq!(listing(there.store(), id).unwrap().is_some(), is_listing, "{id}");
        }
        assert_eq!(pack(&there, &inputs).unwrap(), Some(blob));
        assert_eq!(pack(&there, &inputs[3..]).unwrap(), None);
    }

    #[test]
    fn what_is_no_pack_puts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let lease = Store::open(folder.path(), &OpenOptions::default()).unwrap().lease().unwrap();
        let cut = zstd::bulk::compress(&[1, 9, 0, 0, 0, b'x'], 1).unwrap();
        for bad in [&b""[..], b"no zstd", &cut, &zstd::bulk::compress(&[2], 1).unwrap()] {
            unpack(&lease, bad).unwrap();
        }
        assert!(lease.store().body(&BodyId::of(b"x")).unwrap().is_none());
    }
}
