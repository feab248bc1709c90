//! The one place that decides the bytes of a layer.
//!
//! Entries come directory by directory, each sorted by name: the opaque marker, whiteouts, then the
//! rest. Headers are ustar, with a PAX header only where ustar cannot say it. No user names, no
//! access times, no fractions of seconds. What changes here changes every digest.

use std::collections::{BTreeMap, BTreeSet};

use crate::path::LayerPath;
use crate::tree::entry::{
    Claim, Device, Directory, Entry, File, LinkGroup, Metadata, Node, Subdirectory, Tree,
};
use crate::tree::limits::DEVICE_MAX;

/// The unit of a tar stream.
pub const BLOCK: usize = 512;
/// What a tar stream ends with.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// The largest id that fits a ustar field.
const ID_MAX: u32 = DEVICE_MAX;
/// The largest size or time that fits a ustar field.
const NUMBER_MAX: u64 = 0o77_777_777_777;

/// One entry of a layer's tar stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CanonicalEntry {
    /// The path, by which runs are cut.
    pub path: LayerPath,
    /// The header blocks.
    pub header: Vec<u8>,
    /// The file whose bytes follow.
    pub body: Option<File>,
}

/// The zero bytes after a body of this length.
pub fn padding(size: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "it is less than a block")]
    let over = (size % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}

/// Gives the entries of a layer in order. Times later than `epoch` become `epoch`.
///
/// # Errors
///
/// The first error of `sink`, which is called no more then.
pub fn each<E>(
    tree: &Tree,
    epoch: Option<i64>,
    sink: &mut dyn FnMut(CanonicalEntry) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { epoch, first: BTreeMap::new(), sink };
    if let Some(root) = &tree.root {
        let header = walk.header(b"./", root, &Fields::kind(b'5'));
        (walk.sink)(CanonicalEntry { path: LayerPath::root(), header, body: None })?;
    }
    walk.directory(&tree.children, &LayerPath::root())
}

struct Walk<'sink, E> {
    epoch: Option<i64>,
    /// The first path of each hard-link group.
    first: BTreeMap<LinkGroup, LayerPath>,
    sink: &'sink mut dyn FnMut(CanonicalEntry) -> Result<(), E>,
}

/// What a header says besides name and metadata.
struct Fields<'a> {
    kind: u8,
    target: &'a [u8],
    size: u64,
    device: Option<Device>,
}

impl<'a> Fields<'a> {
    fn kind(kind: u8) -> Self {
        Self { kind, target: b"", size: 0, device: None }
    }

    fn link(kind: u8, target: &'a [u8]) -> Self {
        Self { target, ..Self::kind(kind) }
    }
}

impl<E> Walk<'_, E> {
    fn directory(&mut self, directory: &Directory, at: &LayerPath) -> Result<(), E> {
        for entry in directory.entries() {
            if entry.node == Node::Whiteout {
                self.marker(at, &[b".wh.", &*entry.name].concat())?;
            }
        }
        for entry in directory.entries() {
            self.entry(entry, at.join(&entry.name))?;
        }
        Ok(())
    }

    fn marker(&mut self, at: &LayerPath, name: &[u8]) -> Result<(), E> {
        let path = at.join(name);
        let header = self.header(path.as_bytes(), &Metadata::default(), &Fields::kind(b'0'));
        (self.sink)(CanonicalEntry { path, header, body: None })
    }

    fn entry(&mut self, entry: &Entry, path: LayerPath) -> Result<(), E> {
        let metadata = &entry.metadata;
        let fields = match &entry.node {
            Node::Whiteout => return Ok(()),
            Node::Directory(below) => return self.subdirectory(metadata, below, &path),
            Node::File(file) => return self.file(metadata, file, path),
            Node::Symlink(target) => Fields::link(b'2', target),
            Node::CharDevice(device) => Fields { device: Some(*device), ..Fields::kind(b'3') },
            Node::BlockDevice(device) => Fields { device: Some(*device), ..Fields::kind(b'4') },
            Node::Fifo => Fields::kind(b'6'),
        };
        let header = self.header(path.as_bytes(), metadata, &fields);
        (self.sink)(CanonicalEntry { path, header, body: None })
    }

    fn subdirectory(
        &mut self,
        metadata: &Metadata,
        below: &Subdirectory,
        path: &LayerPath,
    ) -> Result<(), E> {
        if below.claim != Claim::Implied {
            let name = [path.as_bytes(), b"/"].concat();
            let header = self.header(&name, metadata, &Fields::kind(b'5'));
            (self.sink)(CanonicalEntry { path: path.clone(), header, body: None })?;
        }
        if below.claim == Claim::Opaque {
            self.marker(path, b".wh..wh..opq")?;
        }
        self.directory(&below.children, path)
    }

    fn file(&mut self, metadata: &Metadata, file: &File, path: LayerPath) -> Result<(), E> {
        if let Some(first) = file.link.and_then(|group| self.first.get(&group)) {
            let target = first.as_bytes().to_vec();
            let header = self.header(path.as_bytes(), metadata, &Fields::link(b'1', &target));
            return (self.sink)(CanonicalEntry { path, header, body: None });
        }
        if let Some(group) = file.link {
            self.first.insert(group, path.clone());
        }
        let fields = Fields { size: file.size, ..Fields::kind(b'0') };
        let header = self.header(path.as_bytes(), metadata, &fields);
        let body = (file.size > 0).then_some(*file);
        (self.sink)(CanonicalEntry { path, header, body })
    }

    fn header(&self, name: &[u8], metadata: &Metadata, fields: &Fields<'_>) -> Vec<u8> {
        let seconds = metadata.mtime.seconds;
        let seconds = self.epoch.map_or(seconds, |epoch| seconds.min(epoch));
        header(name, metadata, seconds, fields)
    }
}

fn header(name: &[u8], metadata: &Metadata, seconds: i64, fields: &Fields<'_>) -> Vec<u8> {
    let mut pax = Pax::default();
    let mut block = [0; BLOCK];
    put_name(&mut block, name, &mut pax);
    put(&mut block, 100..107, u64::from(metadata.mode & 0o7777));
    put(&mut block, 108..115, pax.id("uid", metadata.uid));
    put(&mut block, 116..123, pax.id("gid", metadata.gid));
    put(&mut block, 124..135, pax.number("size", fields.size));
    put(&mut block, 136..147, pax.time(seconds));
    block[156] = fields.kind;
    put_text(&mut block[157..257], fields.target, "linkpath", &mut pax);
    if let Some(device) = fields.device {
        put(&mut block, 329..336, u64::from(device.major & ID_MAX));
        put(&mut block, 337..344, u64::from(device.minor & ID_MAX));
    }
    pax.xattrs(metadata);
    let mut out = pax.finish();
    out.extend_from_slice(&seal(block));
    out
}

/// The header of a file that is in no tree: what a format adds to a layer for itself.
pub(super) fn extra_file(name: &str, size: u64) -> Vec<u8> {
    let fields = Fields { size, ..Fields::kind(b'0') };
    header(name.as_bytes(), &Metadata::default(), 0, &fields)
}

/// Puts the name in one field, or splits it over two at a slash.
fn put_name(block: &mut [u8; BLOCK], name: &[u8], pax: &mut Pax) {
    if name.len() <= 100 || plain_in_pax(name) {
        return put_text(&mut block[..100], name, "path", pax);
    }
    let split = (name.len() - 101..=155.min(name.len() - 2)).find(|at| name[*at] == b'/');
    match split {
        Some(at) => {
            block[345..345 + at].copy_from_slice(&name[..at]);
            block[..name.len() - at - 1].copy_from_slice(&name[at + 1..]);
        }
        None => put_text(&mut block[..100], name, "path", pax),
    }
}

/// Text that readers must be told is UTF-8.
fn plain_in_pax(text: &[u8]) -> bool {
    !text.is_ascii() && std::str::from_utf8(text).is_ok()
}

fn put_text(field: &mut [u8], text: &[u8], key: &'static str, pax: &mut Pax) {
    let fits = text.len().min(field.len());
    if fits < text.len() || plain_in_pax(text) {
        pax.0.insert(key.as_bytes().to_vec(), text.to_vec());
    }
    field[..fits].copy_from_slice(&text[..fits]);
}

fn put(block: &mut [u8; BLOCK], field: std::ops::Range<usize>, value: u64) {
    let digits = format!("{value:0width$o}", width = field.len());
    block[field].copy_from_slice(digits.as_bytes());
}

/// Adds what every header has, and the checksum over all of it.
fn seal(mut block: [u8; BLOCK]) -> [u8; BLOCK] {
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    put(&mut block, 148..154, sum);
    block[154] = 0;
    block
}

/// The records of a PAX header, sorted by key.
#[derive(Default)]
struct Pax(BTreeMap<Vec<u8>, Vec<u8>>);

impl Pax {
    fn number(&mut self, key: &str, value: u64) -> u64 {
        if value <= NUMBER_MAX {
            return value;
        }
        self.0.insert(key.as_bytes().to_vec(), value.to_string().into_bytes());
        0
    }

    fn id(&mut self, key: &str, value: u32) -> u64 {
        if value <= ID_MAX {
            return value.into();
        }
        self.0.insert(key.as_bytes().to_vec(), value.to_string().into_bytes());
        0
    }

    fn time(&mut self, seconds: i64) -> u64 {
        match u64::try_from(seconds) {
            Ok(seconds) if seconds <= NUMBER_MAX => seconds,
            _ => {
                self.0.insert(b"mtime".to_vec(), seconds.to_string().into_bytes());
                0
            }
        }
    }

    fn xattrs(&mut self, metadata: &Metadata) {
        for (name, value) in metadata.xattrs.iter().filter(|(name, _)| travels(name)) {
            self.0.insert([b"SCHILY.xattr.", &**name].concat(), portable(name, value));
        }
    }

    fn finish(self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut body = Vec::new();
        for (key, value) in &self.0 {
            body.extend(record(key, value));
        }
        let mut block = [0; BLOCK];
        block[..10].copy_from_slice(b"PaxHeaders");
        put(&mut block, 100..107, 0o644);
        put(&mut block, 108..115, 0);
        put(&mut block, 116..123, 0);
        put(&mut block, 124..135, body.len() as u64);
        put(&mut block, 136..147, 0);
        block[156] = b'x';
        body.resize(body.len() + padding(body.len() as u64), 0);
        [&seal(block)[..], &body].concat()
    }
}

/// `length key=value\n`, where the length counts its own digits.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    length = rest + length.to_string().len();
    let mut out = format!("{length} ").into_bytes();
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
    out
}

/// Whether a name means in a layer that something else is gone, so that no file can have it.
pub fn is_mark(name: &[u8]) -> bool {
    name.starts_with(b".wh.")
}

/// Whether an extended attribute belongs to the image and not to the machine.
pub fn travels(name: &[u8]) -> bool {
    let known: BTreeSet<&[u8]> =
        [&b"security.capability"[..], b"system.posix_acl_access", b"system.posix_acl_default"]
            .into();
    // Those of the overlay, and those by which a directory says what the file system cannot.
    let ours = [&b"user.overlay."[..], b"user.wythe."];
    let user = name.starts_with(b"user.") && !ours.iter().any(|own| name.starts_with(own));
    (user || known.contains(name)) && !name.contains(&b'=') && !name.contains(&0)
}

/// File capabilities without the owner of the user namespace they were set in.
fn portable(name: &[u8], value: &[u8]) -> Vec<u8> {
    const VERSION_3: u8 = 3;
    let mut value = value.to_vec();
    if name == b"security.capability" && value.len() == 24 && value[3] == VERSION_3 {
        value.truncate(20);
        value[3] = 2;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::sketch::sketch;

    fn listed(words: &str) -> Vec<String> {
        let mut paths = Vec::new();
        let never: Result<(), ()> = each(&sketch(words), None, &mut |entry| {
            paths.push(String::from_utf8(entry.path.as_bytes().to_vec()).unwrap());
            Ok(())
        });
        never.unwrap();
        paths
    }

    #[test]
    fn whiteouts_come_first_and_implied_directories_not_at_all() {
        assert_eq!(
            listed("a=1 d! d/x=2 -z i/f=3"),
            [".wh.z", "a", "d", "d/.wh..wh..opq", "d/x", "i/f"]
        );
    }

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(record(b"a", b"b"), b"6 a=b\n");
        for size in [1, 5, 90, 91, 92, 93, 94, 985, 986, 987, 988, 989] {
            let text = record(b"k", &vec![b'v'; size]);
            let digits = text.split(|byte| *byte == b' ').next().unwrap();
            let claimed: usize = std::str::from_utf8(digits).unwrap().parse().unwrap();
            assert_eq!(claimed, text.len());
        }
    }

    #[test]
    fn only_attributes_of_the_image_travel() {
        for name in ["user.a", "security.capability", "system.posix_acl_access"] {
            assert!(travels(name.as_bytes()), "{name}");
        }
        for name in ["user.overlay.opaque", "trusted.overlay.x", "security.selinux", "user.a=b"] {
            assert!(!travels(name.as_bytes()), "{name}");
        }
    }
}
