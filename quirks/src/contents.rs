//! What a registry holds: blobs in files without a name, so that nothing of them is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

/// Bytes of a file that are hashed at a time.
const PIECE: usize = 1 << 16;

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    written(&Sha256::digest(bytes))
}

fn written(hash: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in hash {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A blob, or what came of one.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) file: Arc<File>,
    pub(crate) length: u64,
}

impl Blob {
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile_in(directory)?), length: 0 })
    }

    /// Appends a body; what of it came before an error is kept.
    pub(crate) fn append(&mut self, body: &mut dyn Read) -> io::Result<()> {
        let mut piece = vec![0; PIECE];
        loop {
            let count = body.read(&mut piece)?;
            if count == 0 {
                return Ok(());
            }
            self.file.write_all_at(&piece[..count], self.length)?;
            self.length += count as u64;
        }
    }

    pub(crate) fn digest(&self) -> io::Result<String> {
        let (mut hash, mut piece, mut at) = (Sha256::new(), vec![0; PIECE], 0);
        loop {
            let count = self.file.read_at(&mut piece, at)?;
            if count == 0 {
                return Ok(written(&hash.finalize()));
            }
            hash.update(&piece[..count]);
            at += count as u64;
        }
    }
}

/// A manifest as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
    /// What it refers to.
    pub(crate) subject: Option<String>,
}

/// A repository.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) blobs: BTreeMap<String, Blob>,
    pub(crate) manifests: BTreeMap<String, Manifest>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// An upload that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) repository: String,
    pub(crate) blob: Arc<Mutex<Blob>>,
    /// How many `PATCH` there were.
    pub(crate) patches: u64,
    /// How much the first of them has brought.
    pub(crate) first: Option<u64>,
}

/// What a token is good for.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) until: Option<Instant>,
    pub(crate) uses: u64,
    /// Each as `name:action`.
    pub(crate) rights: BTreeSet<String>,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) tokens: BTreeMap<String, Token>,
    /// How often each address of the storage was used.
    pub(crate) signed: BTreeMap<String, u64>,
    /// Requests that are still to be answered with 429.
    pub(crate) busy: u64,
    /// Manifests before which blobs are still to be collected.
    pub(crate) collected: u64,
    counter: u64,
}

impl Contents {
    /// Nothing yet, with so many requests to be answered with 429, and manifests before which blobs are collected.
    pub(crate) fn new(busy: u64, collected: u64) -> Self {
        Self { busy, collected, ..Self::default() }
    }

    /// A number that was not given before.
    pub(crate) fn number(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn blob(&self, repository: &str, digest: &str) -> Option<&Blob> {
        self.repositories.get(repository)?.blobs.get(digest)
    }
}
