//! A registry on the loopback that has one image, for as long as somebody on this machine pulls it: a
//! container engine that does not read our store takes what it lacks, and nothing else.
//!
//! It is read-only and on 127.0.0.1. Whoever is to read the image is told a name that nobody can guess;
//! under any other there is nothing.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use wythe_store::digest::Digest;
use wythe_store::oci::closure::Closure;
use wythe_store::oci::content::Content;
use wythe_store::oci::descriptor::Descriptor;

/// The longest head of a request that is read: engines send a few hundred bytes.
const MAX_HEAD: u64 = 16 << 10;

/// How long a connection may be silent before a request, so that one that is never used holds up
/// nobody who has done.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an engine may take nothing of what it asked for: it may be unpacking.
const STALLED: Duration = Duration::from_mins(5);

/// What a connection begins with that is to be encrypted.
const TLS: u8 = 22;

/// The tag that the image has there.
pub const TAG: &str = "latest";

/// What a registry on the loopback serves.
pub struct Loopback<'a> {
    /// The manifest, or the index of several.
    root: Descriptor,
    /// Where bytes are read, or had from.
    content: &'a dyn Content,
    documents: BTreeMap<Digest, (Descriptor, Vec<u8>)>,
    blobs: BTreeMap<Digest, Descriptor>,
    /// The name that nobody can guess.
    repository: String,
    ended: AtomicBool,
    sent: AtomicU64,
}

impl std::fmt::Debug for Loopback<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Loopback").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Where the image is to be had.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoopbackName {
    /// `127.0.0.1:PORT/REPOSITORY`, without a tag.
    pub repository: String,
}

impl<'a> Loopback<'a> {
    /// A registry that has one image under a name that is a secret: lower-case letters and digits.
    ///
    /// # Errors
    ///
    /// If the documents of the image cannot be read.
    pub fn new(root: &Descriptor, content: &'a dyn Content, secret: &str) -> io::Result<Self> {
        let Closure { blobs, manifests } = Closure::of(content, std::slice::from_ref(root))?;
        let document = |(of, bytes): (Descriptor, Vec<u8>)| (of.digest, (of, bytes));
        Ok(Self {
            root: root.clone(),
            content,
            documents: manifests.into_iter().map(document).collect(),
            blobs: blobs.into_iter().map(|blob| (blob.digest, blob)).collect(),
            repository: format!("wythe/{secret}"),
            ended: AtomicBool::new(false),
            sent: AtomicU64::new(0),
        })
    }

    /// Serves while `pull` runs, and gives what that gave and how many bytes of blobs left.
    ///
    /// # Errors
    ///
    /// If there is no port.
    pub fn serve<T>(&self, pull: impl FnOnce(&LoopbackName) -> T) -> io::Result<(T, u64)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let name = LoopbackName { repository: format!("{address}/{}", self.repository) };
        let pulled = std::thread::scope(|scope| {
            scope.spawn(|| {
                for stream in listener.incoming() {
                    if self.ended.load(Ordering::Acquire) {
                        return;
                    }
                    // A connection that breaks is the engine's to notice.
                    scope.spawn(move || stream.and_then(|stream| self.answer(&stream)));
                }
            });
            let _ends = Ends { ended: &self.ended, address };
            pull(&name)
        });
        Ok((pulled, self.sent.load(Ordering::Relaxed)))
    }

    /// One request of a connection, which is closed then.
    fn answer(&self, mut stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(STALLED))?;
        let mut lines = BufReader::new(Read::take(stream, MAX_HEAD));
        if lines.fill_buf()?.first() == Some(&TLS) {
            // Engines try TLS first, and take this answer for what it is.
            return empty(stream, "400 Bad Request");
        }
        let mut first = String::new();
        lines.read_line(&mut first)?;
        let mut header = String::new();
        while lines.read_line(&mut header)? > "\r\n".len() {
            header.clear();
        }
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let with_body = match method {
            "GET" => true,
            "HEAD" => false,
            _ => return empty(stream, "405 Method Not Allowed"),
        };
        let path = target.split('?').next().unwrap_or_default();
        match self.found(path) {
            Found::Base => {
                head(stream, "application/json", 2, "")?;
                if with_body { stream.write_all(b"{}") } else { Ok(()) }
            }
            Found::Blob(blob) => {
                head(stream, "application/octet-stream", blob.size, &blob.digest.to_string())?;
                if !with_body {
                    return Ok(());
                }
                self.sent.fetch_add(blob.size, Ordering::Relaxed);
                self.content.copy(blob, &mut stream)
            }
            Found::Document((of, bytes)) => {
                let (kind, digest) = (of.media_type.as_str(), of.digest.to_string());
                head(stream, kind, bytes.len() as u64, &digest)?;
                if with_body { stream.write_all(bytes) } else { Ok(()) }
            }
            Found::Nothing => empty(stream, "404 Not Found"),
        }
    }

    fn found(&self, path: &str) -> Found<'_> {
        if path == "/v2/" || path == "/v2" {
            return Found::Base;
        }
        let own = path.strip_prefix("/v2/").and_then(|path| path.strip_prefix(&*self.repository));
        let Some((kind, name)) = own.and_then(|path| path.strip_prefix('/')?.split_once('/'))
        else {
            return Found::Nothing;
        };
        let digest = if name == TAG { Some(self.root.digest) } else { name.parse().ok() };
        let Some(digest) = digest else { return Found::Nothing };
        let document = self.documents.get(&digest).map(Found::Document);
        match kind {
            "blobs" => self.blobs.get(&digest).map(Found::Blob).or(document),
            "manifests" => document,
            _ => None,
        }
        .unwrap_or(Found::Nothing)
    }
}

/// What a path stands for.
enum Found<'a> {
    Base,
    Blob(&'a Descriptor),
    Document(&'a (Descriptor, Vec<u8>)),
    Nothing,
}

fn head(mut stream: &TcpStream, kind: &str, length: u64, digest: &str) -> io::Result<()> {
    let digest = if digest.is_empty() {
        String::new()
    } else {
        format!("Docker-Content-Digest: {digest}\r\n")
    };
    let text = format!(
        "HTTP/1.1 200 OK\r\nDocker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\
         Content-Type: {kind}\r\nContent-Length: {length}\r\n{digest}\r\n"
    );
    stream.write_all(text.as_bytes())
}

fn empty(mut stream: &TcpStream, status: &str) -> io::Result<()> {
    let text = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(text.as_bytes())
}

/// Ends the wait for connections, however the pull ends.
struct Ends<'a> {
    ended: &'a AtomicBool,
    address: SocketAddr,
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Has who waits look. Where nothing can be connected nothing waits either.
        let _ = TcpStream::connect(self.address);
    }
}

#[cfg(test)]
mod tests {
    use wythe_store::oci::config::ImageConfig;
    use wythe_store::oci::content::MemoryContent;
    use wythe_store::oci::document::RawDocument;
    use wythe_store::oci::manifest::Manifest;
    use wythe_store::oci::media_type::MediaType;

    use super::*;

    fn image() -> (Descriptor, Descriptor, MemoryContent) {
        let mut content = MemoryContent::default();
        let config = RawDocument::new(ImageConfig::default());
        let layer = Descriptor::of(MediaType::LAYER, b"layer");
        let manifest = RawDocument::new(Manifest::new(config.descriptor(), vec![layer.clone()]));
        content.insert(config.bytes().to_vec());
        content.insert(manifest.bytes().to_vec());
        content.insert(b"layer".to_vec());
        (manifest.descriptor(), layer, content)
    }

    fn ask(name: &LoopbackName, request: &str) -> String {
        let (address, _) = name.repository.split_once('/').unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{request} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_image_is_there_under_its_secret_name_and_nothing_else_is() {
        let (root, layer, content) = image();
        let loopback = Loopback::new(&root, &content, "s3cret").unwrap();
        let (answers, sent) = loopback
            .serve(|name| {
                assert!(name.repository.ends_with("/wythe/s3cret"), "{name:?}");
                [
                    "GET /v2/".to_owned(),
                    format!("HEAD /v2/wythe/s3cret/manifests/{TAG}"),
                    format!("GET /v2/wythe/s3cret/manifests/{}", root.digest),
                    format!("GET /v2/wythe/s3cret/blobs/{}", layer.digest),
                    format!("GET /v2/wythe/guess/blobs/{}", layer.digest),
                    format!("GET /v2/wythe/s3cret/blobs/{}", Digest::of(b"other")),
                    format!("PUT /v2/wythe/s3cret/manifests/{TAG}"),
                ]
                .map(|request| ask(name, &request))
            })
            .unwrap();
        let statuses = answers.each_ref().map(|answer| answer[9..12].to_owned());
        assert_eq!(statuses, ["200", "200", "200", "200", "404", "404", "405"]);
        assert!(answers[1].contains(&root.digest.to_string()), "{}", answers[1]);
        assert!(answers[3].ends_with("\r\n\r\nlayer"), "{}", answers[3]);
        assert_eq!(sent, 5);
    }

    #[test]
    fn whoever_speaks_tls_is_told_at_once_that_nobody_does_here() {
        let (root, _, content) = image();
        let loopback = Loopback::new(&root, &content, "s").unwrap();
        let answer = loopback.serve(|name| {
            let (address, _) = name.repository.split_once('/').unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(&[TLS, 3, 1, 0, 5, 1, 0, 0, 1, 3]).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        assert!(answer.unwrap().0.starts_with("HTTP/1.1 400 "));
    }

    #[test]
    fn a_connection_that_says_nothing_holds_nobody_up_for_long() {
        let (root, _, content) = image();
        let loopback = Loopback::new(&root, &content, "s").unwrap();
        let silent = loopback
            .serve(|name| TcpStream::connect(name.repository.split_once('/').unwrap().0).unwrap());
        drop(silent.unwrap());
    }
}
