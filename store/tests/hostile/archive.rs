//! Tar streams block by block, well formed or not.

/// A tar stream in the making.
#[derive(Clone, Default)]
pub(crate) struct Archive(Vec<u8>);

/// One header block, to be bent before it is sealed.
#[derive(Clone)]
pub(crate) struct Block(pub(crate) [u8; 512]);

impl Block {
    pub(crate) fn new(name: &[u8], kind: u8) -> Self {
        let mut block = Self([0; 512]);
        block.0[..name.len()].copy_from_slice(name);
        block.0[156] = kind;
        block.0[257..265].copy_from_slice(b"ustar\x0000");
        for (at, length, value) in [(100, 8, 0o644), (108, 8, 0), (116, 8, 0), (124, 12, 0)] {
            block = block.octal(at, length, value);
        }
        block.octal(136, 12, 1)
    }

    pub(crate) fn octal(self, at: usize, length: usize, value: u64) -> Self {
        self.bytes(at, format!("{value:0width$o}\0", width = length - 1).as_bytes())
    }

    pub(crate) fn bytes(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.octal(124, 12, size)
    }

    pub(crate) fn mode(self, mode: u64) -> Self {
        self.octal(100, 8, mode)
    }

    pub(crate) fn target(self, target: &str) -> Self {
        self.bytes(157, target.as_bytes())
    }

    pub(crate) fn device(self, major: u64, minor: u64) -> Self {
        self.octal(329, 8, major).octal(337, 8, minor)
    }

    /// A file with holes in GNU's old form: where its bytes go, and how long it is.
    pub(crate) fn sparse(self, extents: &[(u64, u64)], size: u64) -> Self {
        let mut block = self.bytes(257, b"ustar  \0").octal(483, 12, size);
        for (at, (offset, length)) in (386..).step_by(24).zip(extents) {
            block = block.octal(at, 12, *offset).octal(at + 12, 12, *length);
        }
        block
    }

    /// The block with the right checksum, which is what makes a bent header worth reading.
    fn sealed(mut self) -> [u8; 512] {
        self.0[148..156].fill(b' ');
        let sum: u64 = self.0.iter().map(|byte| u64::from(*byte)).sum();
        self.octal(148, 7, sum).0
    }
}

impl Archive {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn block(mut self, block: Block) -> Self {
        self.0.extend(block.sealed());
        self
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Bytes, and zeros up to the next block.
    pub(crate) fn body(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(512) - bytes.len();
        self.raw(bytes).raw(&vec![0; padding])
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let block = Block::new(name.as_bytes(), b'0').size(text.len() as u64);
        self.block(block).body(text.as_bytes())
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.block(Block::new(name.as_bytes(), b'5').mode(0o755))
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.block(Block::new(name.as_bytes(), b'2').target(target))
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.block(Block::new(name.as_bytes(), b'1').target(target))
    }

    /// An extension header of any kind with this content.
    pub(crate) fn extension(self, kind: u8, content: &[u8]) -> Self {
        self.block(Block::new(b"extension", kind).size(content.len() as u64)).body(content)
    }

    pub(crate) fn pax(self, key: &str, value: &[u8]) -> Self {
        self.extension(b'x', &record(key, value))
    }

    /// One extension header with all these records.
    pub(crate) fn records(self, records: &[(&str, &[u8])]) -> Self {
        let records: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.extension(b'x', &records)
    }

    /// The stream with its end.
    pub(crate) fn end(self) -> Vec<u8> {
        self.raw(&[0; 1024]).0
    }

    /// The stream as it is.
    pub(crate) fn cut(self, length: usize) -> Vec<u8> {
        self.0[..length].to_vec()
    }
}

/// A PAX record, which counts its own length.
pub(crate) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}
