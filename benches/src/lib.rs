//! Deterministic inputs for the benchmarks: the same text, trees and bytes on every machine.

use std::fmt::Write;

use wythe_store::id::BodyId;
use wythe_store::path::LayerPath;
use wythe_store::tree::build::TreeBuilder;
use wythe_store::tree::entry::{File, Metadata, Node, Tree};

/// How many files a directory of [`tree`] has.
const FILES_PER_DIRECTORY: usize = 40;

/// A Dockerfile of that many stages, each with what real ones are made of.
pub fn dockerfile(stages: usize) -> String {
    let mut text = String::from("# syntax=docker/dockerfile:1\nARG VERSION=1.2.3\n");
    for stage in 0..stages {
        let base = stage.checked_sub(1).map_or("debian:12".to_owned(), |below| format!("s{below}"));
        write!(
            text,
            "FROM {base} AS s{stage}\n\
             ARG VERSION\n\
             ENV PATH=/opt/s{stage}/bin:$PATH NAME=\"stage ${{VERSION:-none}}\"\n\
             WORKDIR /src/s{stage}\n\
             COPY --chown=1000:1000 --exclude=*.md src include/ ./\n\
             RUN --mount=type=cache,target=/root/.cache \\\n    \
                 apt-get update \\\n    # what it is built with\n    \
                 && apt-get install -y --no-install-recommends gcc make\n\
             COPY <<EOF /etc/s{stage}.conf\n[stage]\nnumber = {stage}\nEOF\n\
             HEALTHCHECK --interval=30s CMD [\"/bin/true\"]\n"
        )
        .expect("a string takes everything");
    }
    text
}

/// Bytes that do not compress, the same for the same seed.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::from_fn(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    });
    words.flatten().take(length).collect()
}

/// A layer of that many files of `size` bytes, whose ids `keep` gives.
///
/// # Panics
///
/// Never: every file has a path of its own.
pub fn tree(files: usize, size: usize, mut keep: impl FnMut(&[u8]) -> BodyId) -> Tree {
    let mut builder = TreeBuilder::new();
    for file in 0..files {
        let path = format!("usr/lib/d{}/f{file}", file / FILES_PER_DIRECTORY);
        let path = LayerPath::parse(path.as_bytes()).expect("a plain path");
        let body = keep(&bytes(file as u64, size));
        let node = Node::File(File { body, size: size as u64, link: None });
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        builder.insert(&path, metadata, node).expect("a path of its own");
    }
    builder.finish()
}
