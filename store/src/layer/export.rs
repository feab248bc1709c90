//! Giving a layer away: its tar stream by DiffID, and its compressed form as one gzip member made
//! of parts that are compressed apart, so that the bytes do not depend on how many threads do it.

use std::io::{self, Write};

use flate2::{Compress, FlushCompress};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::bytes::Bytes;
use crate::digest::{DiffId, Hasher};
use crate::layer::bodies::Bodies;
use crate::layer::canonical::{self, CanonicalEntry, END, padding};
use crate::layer::tar_write::{WriteTarError, tar_write};
use crate::tree::entry::Tree;

/// Bodies this long are a part of their own.
pub const OWN_PART: u64 = 16 << 10;
/// No part of headers and small bodies grows longer than this before it is cut.
const RUN_MAX: usize = 256 << 10;
/// Parts are compressed this many at a time, which bounds what waits in memory.
const WINDOW: usize = 64;
/// No modification time, no name, no system: the same for everybody.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty final block of deflate.
const DEFLATE_END: [u8; 2] = [3, 0];
/// The level that everybody's size expectations come from.
pub const LEVEL: u32 = 6;

/// What a layer's tar stream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Measured {
    /// Its digest.
    pub diff_id: DiffId,
    /// Its length.
    pub size: u64,
}

/// Computes the DiffID of a layer.
pub fn measure(tree: &Tree, bodies: &dyn Bodies) -> Result<Measured, WriteTarError> {
    let mut counter = Counter::default();
    tar_write(tree, bodies, None, &mut counter)?;
    Ok(counter.measured())
}

/// Writes a layer as one gzip member, and says what the tar stream inside is. The bytes depend on
/// the tree alone; parts are compressed on the current rayon pool.
pub fn gzip(
    tree: &Tree,
    bodies: &dyn Bodies,
    out: &mut dyn Write,
) -> Result<Measured, WriteTarError> {
    out.write_all(&GZIP_HEADER)?;
    let (counter, crc) = (Counter::default(), crc32fast::Hasher::new());
    let (run, waiting) = (Vec::new(), Vec::new());
    let mut gzip = Gzip { out, bodies, counter, crc, run, waiting };
    canonical::each(tree, None, &mut |entry| gzip.entry(&entry))?;
    gzip.run.extend_from_slice(&END);
    gzip.cut();
    gzip.flush()?;
    gzip.out.write_all(&DEFLATE_END)?;
    let measured = gzip.counter.measured();
    gzip.out.write_all(&gzip.crc.finalize().to_le_bytes())?;
    let modulo = u32::try_from(measured.size & u64::from(u32::MAX)).expect("masked to 32 bits");
    gzip.out.write_all(&modulo.to_le_bytes())?;
    Ok(measured)
}

struct Gzip<'a> {
    out: &'a mut dyn Write,
    bodies: &'a dyn Bodies,
    counter: Counter,
    crc: crc32fast::Hasher,
    run: Vec<u8>,
    waiting: Vec<Bytes>,
}

impl Gzip<'_> {
    fn entry(&mut self, entry: &CanonicalEntry) -> Result<(), WriteTarError> {
        // Where a run ends depends on names alone, so that a change to one file leaves others be.
        let boundary = blake3::hash(entry.path.as_bytes()).as_bytes()[0] % 16 == 0;
        if boundary || RUN_MAX <= self.run.len() {
            self.cut();
        }
        self.run.extend_from_slice(&entry.header);
        if let Some(file) = &entry.body {
            let body = self.bodies.body(&file.body)?;
            let missing = || WriteTarError::Missing { path: entry.path.clone(), body: file.body };
            let body = body.filter(|body| body.len() as u64 == file.size).ok_or_else(missing)?;
            if OWN_PART <= file.size {
                self.cut();
                self.waiting.push(body);
            } else {
                self.run.extend_from_slice(&body);
            }
            self.run.resize(self.run.len() + padding(file.size), 0);
        }
        if WINDOW <= self.waiting.len() {
            self.flush()?;
        }
        Ok(())
    }

    fn cut(&mut self) {
        if !self.run.is_empty() {
            self.waiting.push(std::mem::take(&mut self.run).into());
        }
    }

    fn flush(&mut self) -> Result<(), WriteTarError> {
        let parts: Vec<io::Result<Part>> =
            self.waiting.par_iter().map(|bytes| Part::compress(bytes)).collect();
        for (bytes, part) in self.waiting.drain(..).zip(parts) {
            let part = part?;
            self.counter.write_all(&bytes)?;
            self.crc.combine(&part.crc);
            self.out.write_all(&part.deflated)?;
        }
        Ok(())
    }
}

/// A piece of the stream, compressed on its own and ending on a byte.
struct Part {
    deflated: Vec<u8>,
    crc: crc32fast::Hasher,
}

impl Part {
    fn compress(bytes: &[u8]) -> io::Result<Self> {
        let mut crc = crc32fast::Hasher::new();
        crc.update(bytes);
        let mut deflate = Compress::new(flate2::Compression::new(LEVEL), false);
        let mut deflated = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let done = usize::try_from(deflate.total_in()).map_err(io::Error::other)?;
            deflate.compress_vec(&bytes[done..], &mut deflated, FlushCompress::Sync)?;
            // Room left over means that nothing waits to be written.
            if deflate.total_in() == bytes.len() as u64 && deflated.len() < deflated.capacity() {
                return Ok(Self { deflated, crc });
            }
            deflated.reserve(64 << 10);
        }
    }
}

/// Hashes and counts what is written to it.
#[derive(Debug, Default)]
struct Counter {
    hasher: Hasher,
    size: u64,
}

impl Counter {
    fn measured(self) -> Measured {
        Measured { diff_id: DiffId(self.hasher.finish()), size: self.size }
    }
}

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BodyId;
    use crate::path::LayerPath;
    use crate::tree::build::TreeBuilder;
    use crate::tree::entry::{File, Metadata, Node};
    use std::collections::BTreeMap;
    use std::io::Read as _;

    fn layer() -> (Tree, BTreeMap<BodyId, Bytes>) {
        let (mut builder, mut bodies) = (TreeBuilder::new(), BTreeMap::new());
        for n in 0..200u32 {
            let noise: Vec<u8> =
                (0..n * 400).map(|at| (at.wrapping_mul(at) / (n + 1)) as u8).collect();
            let file = File { body: BodyId::of(&noise), size: noise.len() as u64, link: None };
            bodies.insert(file.body, Bytes::from(noise));
            let path = LayerPath::parse(format!("d{}/f{n}", n % 7).as_bytes()).unwrap();
            builder.insert(&path, Metadata::default(), Node::File(file)).unwrap();
        }
        (builder.finish(), bodies)
    }

    fn gzipped(threads: usize) -> (Vec<u8>, Measured) {
        let (tree, bodies) = layer();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut out = Vec::new();
        let measured = pool.install(|| gzip(&tree, &bodies, &mut out)).unwrap();
        (out, measured)
    }

    #[test]
    fn one_member_holds_the_canonical_tar() {
        let (tree, bodies) = layer();
        let (bytes, measured) = gzipped(2);
        let (mut plain, mut tar) = (Vec::new(), Vec::new());
        let mut member = flate2::bufread::GzDecoder::new(&bytes[..]);
        member.read_to_end(&mut plain).unwrap();
        assert!(member.into_inner().is_empty());
        tar_write(&tree, &bodies, None, &mut tar).unwrap();
        assert!(plain == tar);
        assert_eq!(measure(&tree, &bodies).unwrap(), measured);
    }

    #[test]
    fn threads_do_not_change_the_bytes() {
        assert!(gzipped(1) == gzipped(4));
    }
}
