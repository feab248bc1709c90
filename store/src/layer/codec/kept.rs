//! What compresses, kept by each thread for its next part. To make it anew costs as much as compressing a hundred
//! kilobytes, and memory that was given back costs a fault for each of its pages.

use std::cell::RefCell;
use std::io::{self, Cursor};
use std::thread::LocalKey;

use flate2::{Compress, Compression as Level, FlushCompress};
use zstd::bulk::Compressor;

/// How much an output buffer grows when it is full.
const GROWTH: usize = 64 << 10;
/// A longer buffer is not kept: no part makes one.
const OUT_KEPT: usize = 9 << 20;

/// Compressors by their level: those of the stream, and of samples.
type Kept<T> = RefCell<Vec<(i32, T)>>;

thread_local! {
    static DEFLATE: Kept<Compress> = const { RefCell::new(Vec::new()) };
    static ZSTD: Kept<Compressor<'static>> = const { RefCell::new(Vec::new()) };
    static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What `fill` adds to an empty buffer, for `take` to look at.
pub(super) fn filled<R>(
    fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    take: impl FnOnce(&[u8]) -> R,
) -> io::Result<R> {
    let mut out = OUT.take();
    out.clear();
    let taken = fill(&mut out).map(|()| take(&out));
    if out.capacity() <= OUT_KEPT {
        OUT.set(out);
    }
    taken
}

/// Adds deflate blocks that end on a byte and refer to nothing before them.
pub(super) fn deflate(bytes: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let level = i32::try_from(level).map_err(io::Error::other)?;
    let make = || Ok(Compress::new(Level::new(level.unsigned_abs()), false));
    with(&DEFLATE, (level, make), |deflate| {
        deflate.reset();
        out.reserve(bytes.len() / 2 + 64);
        loop {
            let done = usize::try_from(deflate.total_in()).map_err(io::Error::other)?;
            deflate.compress_vec(&bytes[done..], out, FlushCompress::Sync)?;
            // Room left over means that nothing waits to be written.
            if deflate.total_in() == bytes.len() as u64 && out.len() < out.capacity() {
                return Ok(());
            }
            out.reserve(GROWTH);
        }
    })
}

/// Adds a zstd frame.
pub(super) fn zstd(bytes: &[u8], level: i32, out: &mut Vec<u8>) -> io::Result<()> {
    with(&ZSTD, (level, || Compressor::new(level)), |compressor| {
        out.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        let start = out.len() as u64;
        let mut out = Cursor::new(out);
        out.set_position(start);
        compressor.compress_to_buffer(bytes, &mut out).map(drop)
    })
}

/// Works with what this thread kept for the level, or with a new one.
fn with<T, R>(
    kept: &'static LocalKey<Kept<T>>,
    (level, make): (i32, impl FnOnce() -> io::Result<T>),
    work: impl FnOnce(&mut T) -> io::Result<R>,
) -> io::Result<R> {
    let mut all = kept.take();
    let found = all.iter().position(|(of, _)| *of == level);
    let mut tool = match found {
        Some(at) => all.swap_remove(at).1,
        None => make()?,
    };
    let done = work(&mut tool);
    // One that failed may be in any state.
    if done.is_ok() {
        all.push((level, tool));
    }
    kept.set(all);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_compressor_makes_what_a_new_one_makes() {
        let texts: Vec<Vec<u8>> = (1..60_usize).map(|n| b"some text ".repeat(n * n)).collect();
        let new = |bytes: &[u8], level| {
            let bytes = bytes.to_vec();
            std::thread::spawn(move || {
                let (mut deflated, mut frame) = (Vec::new(), Vec::new());
                deflate(&bytes, level, &mut deflated).unwrap();
                zstd(&bytes, level.cast_signed(), &mut frame).unwrap();
                (deflated, frame)
            })
            .join()
            .unwrap()
        };
        for (text, level) in texts.iter().zip([5, 1, 9, 5].into_iter().cycle()) {
            let (mut deflated, mut frame) = (b"before".to_vec(), b"before".to_vec());
            deflate(text, level, &mut deflated).unwrap();
            zstd(text, level.cast_signed(), &mut frame).unwrap();
            let (new_deflated, new_frame) = new(text, level);
            assert!(deflated == [&b"before"[..], &new_deflated].concat());
            assert!(frame == [&b"before"[..], &new_frame].concat());
        }
    }

    #[test]
    fn a_buffer_begins_empty_however_it_was_left() {
        for n in 0..3 {
            let failed = filled(
                |out| {
                    out.resize(100, n);
                    Err(io::Error::other("full"))
                },
                <[u8]>::len,
            );
            assert_eq!(failed.unwrap_err().to_string(), "full");
            let fill = |out: &mut Vec<u8>| {
                out.push(n);
                Ok(())
            };
            assert_eq!(filled(fill, <[u8]>::to_vec).unwrap(), [n]);
        }
    }
}
