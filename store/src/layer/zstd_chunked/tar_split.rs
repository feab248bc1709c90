//! A tar stream without the bodies of its files, from which and from the files it is put together again.

use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use zstd::stream::write::Encoder;

use crate::layer::canonical::{CanonicalEntry, END, padding};
use crate::layer::tar_read::{TarKind, entry_of};

/// What the form calls the body of a file.
const FILE: u8 = 1;
/// What it calls bytes of the stream.
const SEGMENT: u8 = 2;

/// A line of the form. Payloads are bytes of the stream, or the checksum of a body.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    payload: Option<String>,
    position: u64,
}

/// Writes the form, compressed while it grows.
pub(super) struct TarSplit {
    out: Encoder<'static, Vec<u8>>,
    /// The zeros after the last body.
    padding: usize,
    lines: u64,
    plain: u64,
}

/// The form, as it is stored.
pub(super) struct Split {
    pub(super) compressed: Vec<u8>,
    /// How long it is uncompressed.
    pub(super) plain: u64,
}

impl TarSplit {
    pub(super) fn new(out: Encoder<'static, Vec<u8>>) -> Self {
        Self { out, padding: 0, lines: 0, plain: 0 }
    }

    /// Adds an entry whose body has so many bytes, and this checksum if it has any.
    pub(super) fn entry(
        &mut self,
        (entry, size): (&CanonicalEntry, u64),
        crc: Option<u64>,
    ) -> io::Result<()> {
        let read = entry_of(&entry.header)?;
        let mut name = String::from_utf8_lossy(read.path.as_bytes()).into_owned();
        if read.kind == TarKind::Directory {
            name.push('/');
        }
        self.segment(&entry.header)?;
        let payload = crc.map(|crc| STANDARD.encode(crc.to_be_bytes()));
        let name = if name == "/" { "./" } else { &name };
        let (name, size_said) = (Some(name), (size > 0).then_some(size));
        self.line(&Line { kind: FILE, name, size: size_said, payload, position: self.lines })?;
        self.padding = padding(size);
        Ok(())
    }

    /// Bytes of the stream, which begin with the zeros after the last body.
    fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        let payload = [&vec![0; self.padding], bytes].concat();
        let payload = Some(STANDARD.encode(payload));
        self.padding = 0;
        let (name, size, position) = (None, None, self.lines);
        self.line(&Line { kind: SEGMENT, name, size, payload, position })
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.lines += 1;
        self.plain += text.len() as u64;
        self.out.write_all(&text)
    }

    pub(super) fn finish(mut self) -> io::Result<Split> {
        self.segment(&END)?;
        Ok(Split { compressed: self.out.finish()?, plain: self.plain })
    }
}
