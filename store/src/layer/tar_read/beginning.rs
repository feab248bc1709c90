//! Telling an archive by how it begins.

use crate::layer::canonical::BLOCK;
use crate::layer::tar_read::error::TarCause;
use crate::layer::tar_read::header::Header;

/// What the first bytes of a stream say of it.
#[derive(Debug)]
pub enum Beginning {
    /// It is an archive.
    Archive,
    /// It is marked as an archive, and its first header is not right.
    Damaged(TarCause),
    /// It is something else.
    Other,
}

impl Beginning {
    /// How many bytes decide: one header.
    pub const BYTES: usize = BLOCK;

    /// What the first [`Self::BYTES`] say, or fewer where the stream has no more. The oldest
    /// archives have no mark but a checksum that is right.
    pub fn of(start: &[u8]) -> Self {
        let Some(block) = start.first_chunk::<BLOCK>() else {
            let cut = Header::is_marked(start);
            return if cut { Self::Damaged(TarCause::Truncated) } else { Self::Other };
        };
        match Header::check(block) {
            Ok(_) => Self::Archive,
            Err(cause) if Header::is_marked(block) => Self::Damaged(cause),
            Err(_) => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> [u8; 512] {
        let mut header = tar::Header::new_ustar();
        header.set_path("a").unwrap();
        header.set_size(0);
        header.set_cksum();
        *header.as_bytes()
    }

    #[test]
    fn a_header_needs_its_checksum_and_an_old_one_nothing_else() {
        assert!(matches!(Beginning::of(&header()), Beginning::Archive));
        let mut old = header();
        old[257..265].fill(0);
        assert!(matches!(Beginning::of(&old), Beginning::Other));
        old[148..156].fill(b' ');
        let sum: u32 = old.iter().map(|byte| u32::from(*byte)).sum();
        old[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(matches!(Beginning::of(&old), Beginning::Archive));
    }

    #[test]
    fn a_marked_header_that_is_wrong_or_cut_is_damaged() {
        let mut wrong = header();
        wrong[0] = b'b';
        assert!(matches!(Beginning::of(&wrong), Beginning::Damaged(TarCause::Checksum)));
        assert!(matches!(Beginning::of(&header()[..300]), Beginning::Damaged(TarCause::Truncated)));
        for other in [&b""[..], b"text", &[0; 512], &[b'x'; 600], &header()[..200]] {
            assert!(matches!(Beginning::of(other), Beginning::Other));
        }
    }
}
