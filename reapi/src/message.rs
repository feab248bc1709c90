//! The messages of the API that are used, by the numbers of their fields.

use wythe_cache::protobuf::{Field, Writer, fields, numbers};
use wythe_store::digest::Digest;

/// How blobs may be compressed on the way.
const ZSTD: u64 = 1;

/// A blob, which the API names by its digest and its size.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct BlobName {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What a server can do.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Capabilities {
    /// How many bytes a call with several blobs may have; zero where it does not say.
    pub(crate) batch: u64,
    pub(crate) streams: Compression,
}

/// Whether a server takes and hands out blobs that are compressed on the way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Compression {
    #[default]
    None,
    Zstd,
}

/// What became of a blob of several.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BlobAnswer {
    pub(crate) name: BlobName,
    pub(crate) data: Vec<u8>,
    /// Zero where it went well.
    pub(crate) code: u64,
    pub(crate) message: String,
}

impl BlobName {
    fn write(&self) -> Writer {
        Writer::default().bytes(1, self.digest.hex().as_bytes()).number(2, self.size)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (mut hash, mut size) = ("", 0);
        for field in fields(bytes)? {
            match field {
                (1, Field::Bytes(text)) => hash = std::str::from_utf8(text).ok()?,
                (2, Field::Number(number)) => size = number,
                _ => {}
            }
        }
        Some(Self { digest: format!("sha256:{hash}").parse().ok()?, size })
    }

    /// What it is called for calls that send it in pieces; `write` says whether they put it there, under an
    /// id of their own.
    pub(crate) fn resource(
        &self,
        instance: &str,
        upload: Option<u64>,
        compression: Compression,
    ) -> String {
        let mut name = String::new();
        if !instance.is_empty() {
            name = format!("{instance}/");
        }
        if let Some(id) = upload {
            // A UUID of version 8: whoever makes it says what it means.
            name = format!(
                "{name}uploads/{:08x}-{:04x}-8000-8000-{:012x}/",
                id >> 32,
                id >> 16 & 0xffff,
                id & 0xffff
            );
        }
        let folder = match compression {
            Compression::None => "blobs",
            Compression::Zstd => "compressed-blobs/zstd",
        };
        format!("{name}{folder}/{}/{}", self.digest.hex(), self.size)
    }
}

fn about(instance: &str) -> Writer {
    Writer::default().bytes(1, instance.as_bytes())
}

pub(crate) fn get_capabilities(instance: &str) -> Vec<u8> {
    about(instance).finish()
}

pub(crate) fn capabilities(answer: &[u8]) -> Option<Capabilities> {
    let mut found = Capabilities::default();
    for field in fields(answer)? {
        let (1, Field::Bytes(cache)) = field else { continue };
        let cache = fields(cache)?;
        found.batch = numbers(&cache, 4).last().copied().unwrap_or_default();
        if numbers(&cache, 6).contains(&ZSTD) {
            found.streams = Compression::Zstd;
        }
    }
    Some(found)
}

pub(crate) fn find_missing(instance: &str, blobs: &[BlobName]) -> Vec<u8> {
    let add = |message: Writer, blob: &BlobName| message.message(2, blob.write());
    blobs.iter().fold(about(instance), add).finish()
}

pub(crate) fn missing(answer: &[u8]) -> Option<Vec<BlobName>> {
    let names = fields(answer)?.into_iter().filter_map(|field| match field {
        (2, Field::Bytes(name)) => Some(BlobName::read(name)),
        _ => None,
    });
    names.collect()
}

pub(crate) fn batch_update(instance: &str, blobs: &[(BlobName, Vec<u8>)]) -> Vec<u8> {
    let add = |message: Writer, (name, data): &(BlobName, Vec<u8>)| {
        message.message(2, Writer::default().message(1, name.write()).bytes(2, data))
    };
    blobs.iter().fold(about(instance), add).finish()
}

pub(crate) fn updated(answer: &[u8]) -> Option<Vec<BlobAnswer>> {
    answers(answer, 2)
}

pub(crate) fn batch_read(instance: &str, blobs: &[BlobName]) -> Vec<u8> {
    // Its fields have the numbers of those who ask for what is missing.
    find_missing(instance, blobs)
}

pub(crate) fn read(answer: &[u8]) -> Option<Vec<BlobAnswer>> {
    answers(answer, 3)
}

/// What is said of each of several blobs, whose state is in the field `status`.
fn answers(answer: &[u8], status: u64) -> Option<Vec<BlobAnswer>> {
    let mut found = Vec::new();
    for field in fields(answer)? {
        let (1, Field::Bytes(one)) = field else { continue };
        let (mut name, mut data, mut code, mut message) = (None, Vec::new(), 0, String::new());
        for field in fields(one)? {
            match field {
                (1, Field::Bytes(bytes)) => name = BlobName::read(bytes),
                (number, Field::Bytes(bytes)) if number == status => {
                    let said = fields(bytes)?;
                    code = numbers(&said, 1).first().copied().unwrap_or_default();
                    if let Some((_, Field::Bytes(text))) =
                        said.iter().find(|(number, _)| *number == 2)
                    {
                        message = String::from_utf8_lossy(text).into_owned();
                    }
                }
                (2, Field::Bytes(bytes)) => data = bytes.to_vec(),
                _ => {}
            }
        }
        found.push(BlobAnswer { name: name?, data, code, message });
    }
    Some(found)
}

pub(crate) fn get_action(instance: &str, action: &BlobName) -> Vec<u8> {
    about(instance).message(2, action.write()).number(3, 1).finish()
}

pub(crate) fn update_action(
    instance: &str,
    action: &BlobName,
    record: &[u8],
    blobs: &[BlobName],
) -> Vec<u8> {
    let mut result = Writer::default();
    for blob in blobs {
        // Named, so that a server keeps what the record needs as long as the record.
        let path = blob.digest.hex();
        result =
            result.message(2, Writer::default().bytes(1, path.as_bytes()).message(2, blob.write()));
    }
    about(instance).message(2, action.write()).message(3, result.bytes(5, record)).finish()
}

/// The record in the result of an action: what it wrote, or the blob of what it wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Recorded {
    Here(Vec<u8>),
    In(BlobName),
}

pub(crate) fn recorded(result: &[u8]) -> Option<Recorded> {
    let mut found = None;
    for field in fields(result)? {
        match field {
            (5, Field::Bytes(record)) => return Some(Recorded::Here(record.to_vec())),
            (6, Field::Bytes(name)) => found = BlobName::read(name).map(Recorded::In),
            _ => {}
        }
    }
    found
}

/// An action that stands for a key: it runs nothing, and its salt says what it is.
pub(crate) fn action(salt: &[u8]) -> Vec<u8> {
    Writer::default().bytes(9, salt).finish()
}

pub(crate) fn read_stream(resource: &str, offset: u64, limit: u64) -> Vec<u8> {
    Writer::default().bytes(1, resource.as_bytes()).number(2, offset).number(3, limit).finish()
}

pub(crate) fn streamed(answer: &[u8]) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    for field in fields(answer)? {
        if let (10, Field::Bytes(bytes)) = field {
            data = bytes.to_vec();
        }
    }
    Some(data)
}

pub(crate) fn write_stream(resource: &str, offset: u64, data: &[u8], end: StreamEnd) -> Vec<u8> {
    let end = u64::from(end == StreamEnd::Last);
    let message = Writer::default().bytes(1, resource.as_bytes()).number(2, offset);
    message.number(3, end).bytes(10, data).finish()
}

/// Whether a piece is the last of its blob.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StreamEnd {
    More,
    Last,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob() -> BlobName {
        BlobName { digest: Digest::of(b"blob"), size: 4 }
    }

    #[test]
    fn blobs_are_named_as_the_api_says() {
        let hex = blob().digest.hex();
        let name = |instance, upload, compression| blob().resource(instance, upload, compression);
        assert_eq!(name("", None, Compression::None), format!("blobs/{hex}/4"));
        assert_eq!(
            name("a/b", None, Compression::Zstd),
            format!("a/b/compressed-blobs/zstd/{hex}/4")
        );
        let upload = name("i", Some(0x1234_5678_9abc_def0), Compression::None);
        let uuid = "12345678-9abc-8000-8000-00000000def0";
        assert_eq!(upload, format!("i/uploads/{uuid}/blobs/{hex}/4"));
    }

    #[test]
    fn what_a_server_says_is_read() {
        let missing_one = Writer::default().message(2, blob().write()).finish();
        assert_eq!(missing(&missing_one), Some(vec![blob()]));
        let status = Writer::default().number(1, 5).bytes(2, b"none");
        let one = Writer::default().message(1, blob().write()).message(3, status);
        let answers = read(&Writer::default().message(1, one).finish()).unwrap();
        assert_eq!((answers[0].code, &*answers[0].message), (5, "none"));
        let cache = Writer::default().number(4, 1000).bytes(6, &[0, 1]);
        let said = capabilities(&Writer::default().message(1, cache).finish()).unwrap();
        assert_eq!(said, Capabilities { batch: 1000, streams: Compression::Zstd });
        assert_eq!(capabilities(&[]), Some(Capabilities::default()));
    }

    #[test]
    fn a_record_is_in_the_result_or_beside_it() {
        let here = Writer::default().number(4, 0).bytes(5, b"record").finish();
        assert_eq!(recorded(&here), Some(Recorded::Here(b"record".to_vec())));
        let beside = Writer::default().message(6, blob().write()).finish();
        assert_eq!(recorded(&beside), Some(Recorded::In(blob())));
        assert_eq!(recorded(b""), None);
    }
}
