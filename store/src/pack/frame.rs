//! Zstd frames of objects. Making what the library works with costs more than a small object, so
//! each thread keeps its own.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

/// The level of objects: what packs gain from a higher one is little, and takes long.
const LEVEL: i32 = 1;

/// Longer ones are rare.
const FRAME_KEPT: usize = 2 * 1024 * 1024;

thread_local! {
    static FRAME: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Hands on one frame of these bytes, in memory that the thread keeps for the next one.
pub(super) fn compressed<R>(bytes: &[u8], take: impl FnOnce(io::Result<&[u8]>) -> R) -> R {
    let mut frame = FRAME.take();
    frame.clear();
    frame.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
    let make = || Compressor::new(LEVEL);
    let made = with(&COMPRESSOR, make, |made| made.compress_to_buffer(bytes, &mut frame));
    let taken = take(made.map(|_| &*frame));
    if frame.capacity() <= FRAME_KEPT {
        FRAME.set(frame);
    }
    taken
}

/// The bytes of a frame, if there are no more than `length`.
pub(super) fn decompress(frame: &[u8], length: usize) -> io::Result<Vec<u8>> {
    with(&DECOMPRESSOR, Decompressor::new, |decompressor| decompressor.decompress(frame, length))
}

fn with<T, R>(
    kept: &'static std::thread::LocalKey<RefCell<Option<T>>>,
    make: impl FnOnce() -> io::Result<T>,
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let mut tool = match kept.take() {
        Some(tool) => tool,
        None => make()?,
    };
    let done = work(&mut tool);
    // One that failed may be in any state.
    if done.is_ok() {
        kept.set(Some(tool));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
        compressed(bytes, |frame| frame.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_kept_tool_makes_what_a_new_one_makes() {
        let texts: Vec<Vec<u8>> = (1..40_usize).map(|n| b"some text ".repeat(n * n)).collect();
        for text in &texts {
            let frame = compress(text).unwrap();
            assert_eq!(frame, zstd::bulk::compress(text, LEVEL).unwrap());
            assert_eq!(decompress(&frame, text.len()).unwrap(), *text);
        }
    }

    #[test]
    fn a_failure_spoils_nothing_after_it() {
        let frame = compress(b"text text text").unwrap();
        assert!(decompress(&frame[..frame.len() - 1], 14).is_err());
        assert!(decompress(&frame, 13).is_err());
        assert_eq!(decompress(&frame, 14).unwrap(), b"text text text");
    }
}
