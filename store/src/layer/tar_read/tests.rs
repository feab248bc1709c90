//! The reader beside what we and others write.

use super::*;
use crate::bytes::FileBytes;
use crate::digest::Digest;
use crate::id::BodyId;
use crate::layer::limits::Limits;
use crate::layer::tar_write::tar_write;
use crate::tree::sketch::sketch;
use std::collections::BTreeMap;

fn written() -> Vec<u8> {
    let tree = sketch("a=1@1 b=1@1 d/ d/c=2 l>a -w o! o/x=1");
    let body =
        |text: &str| (BodyId::of(text.as_bytes()), FileBytes::from(text.as_bytes().to_vec()));
    let bodies = BTreeMap::from([body("1"), body("2")]);
    let mut out = Vec::new();
    tar_write(&tree, &bodies, None, &mut out).unwrap();
    out
}

fn paths(bytes: &[u8]) -> Result<Vec<String>, TarCause> {
    let mut reader = TarReader::new(bytes);
    let mut paths = Vec::new();
    while let Some(entry) = reader.next_entry().map_err(|error| error.cause)? {
        paths.push(entry.path.to_string());
    }
    Ok(paths)
}

#[test]
fn the_tar_crate_reads_what_we_write_as_we_do() {
    let bytes = written();
    let mut archive = tar::Archive::new(&bytes[..]);
    let theirs: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| format!("/{}", entry.unwrap().path().unwrap().display()))
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    assert_eq!(paths(&bytes).unwrap(), theirs);
}

#[test]
fn the_bytes_of_a_layer_never_change() {
    expect_test::expect!["sha256:1149e6c94b50918830313364cd841ca2a473d81dd164bce090cedaa226dfbe75"]
        .assert_eq(&Digest::of(&written()).to_string());
}

#[test]
fn every_cut_is_noticed() {
    let bytes = written();
    let blocks: Vec<usize> = (0..bytes.len()).step_by(BLOCK).collect();
    for end in (1..bytes.len() - 1024).step_by(97).filter(|end| !blocks.contains(end)) {
        assert!(paths(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn between_entries_a_stream_may_end_without_a_mark() {
    let bytes = written();
    let marked = paths(&bytes).unwrap();
    assert_eq!(paths(&bytes[..bytes.len() - 2 * BLOCK]).unwrap(), marked);
    assert_eq!(paths(&bytes[..bytes.len() - BLOCK]).unwrap(), marked);
    assert!(paths(b"").unwrap().is_empty());
}

#[test]
fn a_refusal_says_where() {
    let mut bytes = written();
    let said = |bytes: &[u8]| {
        let mut reader = TarReader::new(bytes);
        std::iter::from_fn(|| reader.next_entry().transpose())
            .find_map(Result::err)
            .map(|error| error.to_string())
    };
    assert_eq!(said(&bytes), None);
    assert_eq!(said(&bytes[..300]).unwrap(), "cannot read the tar header at byte 0");
    let second = BLOCK;
    bytes[second] ^= 1;
    let expected = format!("cannot read the tar header at byte {second}, after entry .wh.w");
    assert_eq!(said(&bytes).unwrap(), expected);
}

#[test]
fn what_follows_two_blocks_of_zeros_is_read_but_not_taken_for_entries() {
    let mut bytes = written();
    let expected = paths(&bytes).unwrap();
    for more in [&[0; 4096][..], &written(), b"x"] {
        bytes.extend_from_slice(more);
        let mut reader = TarReader::new(&bytes[..]);
        while reader.next_entry().unwrap().is_some() {}
        assert!(reader.into_inner().is_empty());
        assert_eq!(paths(&bytes).unwrap(), expected);
    }
}

#[test]
fn data_after_one_block_of_zeros_is_refused() {
    let mut bytes = written();
    bytes.truncate(bytes.len() - BLOCK);
    assert!(paths(&bytes).is_ok());
    bytes.extend_from_slice(&written());
    assert!(matches!(paths(&bytes), Err(TarCause::LoneZeros)));
}

#[test]
fn entries_and_bytes_are_read_up_to_the_limit_and_no_further() {
    let bytes = written();
    let count = paths(&bytes).unwrap().len() as u64;
    let refused = |limits: Limits| {
        let mut reader = TarReader::new(&bytes[..]).within(&Budget::new(limits));
        std::iter::from_fn(|| reader.next_entry().transpose())
            .find_map(Result::err)
            .map(|error| error.cause.to_string())
    };
    let all = Limits::default();
    assert_eq!(refused(Limits { entries: count, unpacked: 3, ..all }), None);
    let said = refused(Limits { entries: count - 1, ..all }).unwrap();
    assert!(said.contains(&format!("more than {} entries", count - 1)), "{said}");
    let said = refused(Limits { unpacked: 2, ..all }).unwrap();
    assert!(said.contains("more than 2 bytes"), "{said}");
}
