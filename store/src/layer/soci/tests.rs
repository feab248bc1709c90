//! Checkpoints, entered as readers do, and zTOCs of layers from here and from elsewhere.

use std::io::{self, Read as _, Write as _};

use flate2::Compression as Level;
use flate2::write::GzEncoder;

use super::checkpoint::{Checkpoint, WINDOW};
use super::*;
use crate::digest::Digest;
use crate::id::LayerId;
use crate::layer::codec::Codec;
use crate::layer::export::export;
use crate::path::LayerPath;
use crate::store::OpenOptions;
use crate::tree::build::TreeBuilder;
use crate::tree::entry::{File, Metadata, Node};

/// Words of few letters: blocks with matches near and far.
fn plain(length: usize) -> Vec<u8> {
    let (mut out, mut n) = (Vec::new(), 0_u64);
    while out.len() < length {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
        write!(out, "{} {} ", n >> 56, n >> 33 & 7).unwrap();
    }
    out.truncate(length);
    out
}

fn gzip(plain: &[u8], level: u32) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Level::new(level));
    out.write_all(plain).unwrap();
    out.finish().unwrap()
}

fn inflated(gzip: &[u8]) -> io::Result<(Vec<u8>, Vec<Checkpoint>)> {
    let (mut inflate, mut out) = (Inflate::new(gzip), Vec::new());
    inflate.read_to_end(&mut out)?;
    assert!(!inflate.has_several_members());
    Ok((out, inflate.finish()?.0))
}

/// What there is from a checkpoint on, by somebody else's decoder: the window as a stored block before it, and
/// the bits behind that from the beginning of a byte on, where a stored block could not be.
fn entered(gzip: &[u8], checkpoint: &Checkpoint) -> Vec<u8> {
    let window = [&vec![0; WINDOW - checkpoint.window.len()][..], &checkpoint.window].concat();
    let mut stream = vec![0, 0, 0x80, 0xff, 0x7f];
    stream.extend_from_slice(&window);
    let rest = &gzip[usize::try_from(checkpoint.at).unwrap() - usize::from(checkpoint.bits != 0)..];
    let shift = u32::from((8 - checkpoint.bits) % 8);
    let byte = |at: usize| u16::from(rest.get(at).copied().unwrap_or(0));
    let shifted =
        (0..rest.len()).map(|at| ((byte(at) | byte(at + 1) << 8) >> shift).to_le_bytes()[0]);
    stream.extend(shifted);
    let mut out = Vec::new();
    flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut out).unwrap();
    out.split_off(WINDOW)
}

#[test]
fn a_stream_is_uncompressed_as_by_others_and_entered_at_each_checkpoint() {
    let plain = plain(9_500_000);
    for level in [0, 1, 6] {
        let gzip = gzip(&plain, level);
        let (out, checkpoints) = inflated(&gzip).unwrap();
        assert!(out == plain, "level {level}");
        // The fastest level makes one block of all of it.
        assert!(checkpoints.len() > 1 || level == 1, "level {level}");
        assert_eq!(checkpoints[0].at, 10);
        for checkpoint in &checkpoints {
            let from = usize::try_from(checkpoint.plain).unwrap();
            assert!(entered(&gzip, checkpoint) == plain[from..], "level {level} from {from}");
        }
    }
}

#[test]
fn blocks_that_are_stored_may_be_between_others() {
    let mut noise = vec![0; 70_000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let plain = [&plain(50_000)[..], &noise, &plain(300), &noise, &plain(90_000)].concat();
    for level in [1, 6, 9] {
        assert!(inflated(&gzip(&plain, level)).unwrap().0 == plain, "level {level}");
    }
}

#[test]
fn short_streams_and_names_in_headers_are_read() {
    for length in [0, 1, 2, 300] {
        let plain = plain(length);
        assert!(inflated(&gzip(&plain, 6)).unwrap().0 == plain);
        let header = flate2::GzBuilder::new().filename("a").comment("b").extra(vec![1; 300]);
        let mut out = header.write(Vec::new(), Level::new(6));
        out.write_all(&plain).unwrap();
        assert!(inflated(&out.finish().unwrap()).unwrap().0 == plain);
    }
}

#[test]
fn what_is_damaged_or_cut_is_an_error_and_never_a_panic() {
    let gzip = gzip(&plain(40_000), 6);
    for end in (0..gzip.len()).step_by(97) {
        assert!(inflated(&gzip[..end]).is_err(), "{end}");
    }
    for at in (0..gzip.len()).step_by(13) {
        let mut damaged = gzip.clone();
        damaged[at] ^= 1 << (at % 8);
        // Some bytes of the header say nothing.
        assert!(inflated(&damaged).is_err() || (4..10).contains(&at), "{at}");
    }
}

fn store() -> (tempfile::TempDir, Lease) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &OpenOptions::default()).unwrap();
    let lease = store.lease().unwrap();
    (folder, lease)
}

fn tree(lease: &Lease, bodies: &[Vec<u8>]) -> crate::tree::entry::Tree {
    let mut builder = TreeBuilder::new();
    let mut add = |path: &str, metadata: Metadata, node: Node| {
        builder.insert(&LayerPath::parse(path.as_bytes()).unwrap(), metadata, node).unwrap();
    };
    let xattrs = vec![((*b"user.a").into(), (*b"\xff").into())];
    add("pipe", Metadata { uid: 7, xattrs, ..Metadata::default() }, Node::Fifo);
    add("link", Metadata::default(), Node::Symlink((*b"f0").into()));
    add("gone", Metadata::default(), Node::Whiteout);
    for (number, bytes) in bodies.iter().enumerate() {
        let body = lease.put_body(bytes).unwrap();
        let file = File { body, size: bytes.len() as u64, link: None };
        add(
            &format!("d/f{number}"),
            Metadata { mode: 0o644, ..Metadata::default() },
            Node::File(file),
        );
    }
    builder.finish()
}

/// A layer with these files, that was made here.
fn made(lease: &Lease, bodies: &[Vec<u8>]) -> (LayerRecord, Descriptor) {
    let mut record = LayerRecord::new(LayerId::of(b"layer"));
    record.tree = Some(lease.put_tree(&tree(lease, bodies)).unwrap());
    let descriptor = export(lease, &mut record, Codec::GZIP).unwrap();
    let mut batch = crate::journal::batch::Batch::new();
    batch.put_layer(&record);
    lease.commit(batch, crate::journal::Durability::Relaxed).unwrap();
    (record, descriptor)
}

fn bytes(store: &Store, digest: &Digest) -> Vec<u8> {
    let mut out = Vec::new();
    blob_view::open(store, digest).unwrap().unwrap().reader.read_to_end(&mut out).unwrap();
    out
}

#[test]
fn checkpoints_of_a_layer_made_here_are_where_parts_begin_and_none_is_far_from_the_next() {
    let (_folder, lease) = store();
    let (record, layer) =
        made(&lease, &[plain(3_000_000), plain(9_000_000), plain(10), plain(4_200_000)]);
    let (table, spans) =
        of_parts(lease.store(), &layer, &record.diff_id.unwrap()).unwrap().unwrap();
    let blob = bytes(lease.store(), &layer.digest);
    let (out, _) = inflated(&blob).unwrap();
    assert_eq!((spans.compressed, spans.plain), (blob.len() as u64, out.len() as u64));
    assert!(spans.checkpoints.len() > 3);
    for checkpoint in &spans.checkpoints {
        let from = usize::try_from(checkpoint.plain).unwrap();
        assert!(entered(&blob, checkpoint) == out[from..]);
    }
    let longest = spans.checkpoints.windows(2).map(|pair| pair[1].plain - pair[0].plain).max();
    assert!(longest.unwrap() <= 2 * SPAN, "{longest:?}");
    let again = Spans::of_blob(&mut &blob[..], spans.checkpoints.clone(), spans.plain).unwrap();
    assert_eq!(again, spans, "digests of spans");
    // And what is read from a stream is what is known of the tree.
    let found = Table::of_stream(&mut TarReader::new(&out[..])).unwrap().unwrap();
    assert_eq!(found.encode(&spans), table.encode(&spans));
}

#[test]
fn a_layer_from_elsewhere_has_a_ztoc_of_the_same_files() {
    let (_folder, lease) = store();
    let (record, layer) = made(&lease, &[plain(9_000_000), plain(10)]);
    let tar = inflated(&bytes(lease.store(), &layer.digest)).unwrap().0;
    let foreign = gzip(&tar, 6);
    let blob = Descriptor::of(MediaType::LAYER_GZIP, &foreign);
    let mut ingest = lease.ingest_blob(&blob).unwrap();
    ingest.write_all(&foreign).unwrap();
    ingest.commit().unwrap();
    let diff_id = record.diff_id.unwrap();
    let made = ztoc(&lease, &blob, &diff_id).unwrap().unwrap();
    assert_eq!(made.annotations[LAYER_DIGEST], blob.digest.to_string());
    let (table, spans) = of_stream(lease.store(), &blob).unwrap().unwrap();
    let own = Table::of_tree(&tree(&lease, &[plain(9_000_000), plain(10)])).unwrap().0;
    assert_eq!(table.encode(&spans), own.encode(&spans));
    let again = ztoc(&lease, &blob, &diff_id).unwrap().unwrap();
    assert_eq!(again, made);
}

#[test]
fn a_stream_of_several_members_has_none() {
    let (_folder, lease) = store();
    let foreign = [gzip(&[0; 1024], 6), gzip(&[0; 1024], 6)].concat();
    let blob = Descriptor::of(MediaType::LAYER_GZIP, &foreign);
    let mut ingest = lease.ingest_blob(&blob).unwrap();
    ingest.write_all(&foreign).unwrap();
    ingest.commit().unwrap();
    assert_eq!(ztoc(&lease, &blob, &DiffId(Digest::of(b""))).unwrap(), None);
    let zstd = Descriptor { media_type: MediaType::LAYER_ZSTD, ..blob };
    assert_eq!(ztoc(&lease, &zstd, &DiffId(Digest::of(b""))).unwrap(), None);
}

#[test]
fn a_ztoc_stays_what_it_is() {
    let (_folder, lease) = store();
    let (record, layer) = made(&lease, &[plain(3), plain(20_000)]);
    let made = ztoc(&lease, &layer, &record.diff_id.unwrap()).unwrap().unwrap();
    let mut text = format!("{}\n{}\n", layer.digest, made.digest).into_bytes();
    for (number, row) in bytes(lease.store(), &made.digest).chunks(32).enumerate() {
        if row.iter().any(|byte| *byte != 0) {
            write!(text, "{:06x} ", 32 * number).unwrap();
            for byte in row {
                write!(text, "{byte:02x}").unwrap();
            }
            text.push(b'\n');
        }
    }
    let text = String::from_utf8(text).unwrap();
    expect_test::expect_file!["../../../../testdata/lazy/ztoc.txt"].assert_eq(&text);
}
