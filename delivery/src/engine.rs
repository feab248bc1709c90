//! Docker's engine, over its socket: what `--load` needs of it.
//!
//! The engine pulls the image from a registry on the loopback, so that only what it lacks is sent. One
//! that cannot reach our loopback, such as one outside of this container, is sent an archive.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use wythe_store::digest::Digest;
use wythe_store::oci::archive::{self, Flavour};
use wythe_store::oci::content::Content;
use wythe_store::oci::platform::{Platform, host_architecture};
use wythe_store::oci::reference::Reference;

use crate::error::DeliveryError;
use crate::image::OutgoingImage;
use crate::loopback::{Loopback, TAG};

/// How long the engine may be silent: it unpacks layers in between.
const SILENCE: Duration = Duration::from_mins(10);

/// The longest answer that is kept: those that say how it went are short.
const MAX_ANSWER: u64 = 1 << 20;

/// What an image is called there that has no name: repository and tag.
const UNNAMED: (&str, &str) = ("wythe/unnamed", "latest");

/// An engine that answers at a socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Engine {
    socket: PathBuf,
}

/// The engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("docker's engine at {}", socket.display())]
pub struct EngineError {
    /// Where it was asked.
    pub socket: PathBuf,
    /// Why it did not.
    #[source]
    pub problem: EngineProblem,
}

/// Why an engine did not do something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineProblem {
    /// It cannot be reached, or breaks off.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It answers with an error.
    #[error("{status}: {message}")]
    Answer {
        /// The status of HTTP.
        status: u16,
        /// What it says.
        message: String,
    },
    /// It could not take the image.
    #[error("{0}")]
    Refused(String),
}

/// How an image came into an engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// It was there.
    Present,
    /// The engine took what it lacked, so many bytes.
    Pulled {
        /// Bytes of layers and configurations.
        bytes: u64,
    },
    /// All of it was sent.
    Sent,
}

impl Engine {
    /// The engine at a socket.
    ///
    /// # Errors
    ///
    /// If nothing answers there.
    pub fn at(socket: &Path) -> Result<Self, EngineError> {
        let engine = Self { socket: socket.to_owned() };
        engine.ask("GET", "/_ping")?;
        Ok(engine)
    }

    /// Gives the engine an image under its names; what of it the engine has is not sent. `secret` is
    /// what nobody else can guess.
    ///
    /// # Errors
    ///
    /// If the engine refuses it, or something of it is not to be had.
    pub fn take(
        &self,
        image: &OutgoingImage<'_>,
        content: &dyn Content,
        secret: &str,
    ) -> Result<Arrival, DeliveryError> {
        if let Some(id) = self.id(image) {
            self.name(&id.to_string(), &image.names)?;
            return Ok(Arrival::Present);
        }
        let loopback =
            Loopback::new(&image.root, content, secret).map_err(DeliveryError::Archive)?;
        let (pulled, bytes) = loopback
            .serve(|from| self.pull(&from.repository, &image.names))
            .map_err(DeliveryError::Archive)?;
        match pulled {
            Ok(()) => Ok(Arrival::Pulled { bytes }),
            // It has not even asked: our loopback is not its own.
            Err(_) if bytes == 0 => self.load(image, content).map(|()| Arrival::Sent),
            Err(error) => Err(error.into()),
        }
    }

    /// What the engine knows an image by, if it has it: its configuration or, with an engine that keeps
    /// images as containerd does, its manifest or index.
    pub fn id(&self, image: &OutgoingImage<'_>) -> Option<Digest> {
        let mut ids = [Some(image.root.digest), image.config].into_iter().flatten();
        ids.find(|id| self.ask("GET", &format!("/images/{id}/json")).is_ok())
    }

    /// Has it pull from a registry on the loopback, and gives what came the names of the image.
    fn pull(&self, repository: &str, names: &[Reference]) -> Result<(), EngineError> {
        let path = format!("/images/create?fromImage={}&tag={TAG}", escaped(repository));
        let told = self.ask("POST", &path)?;
        let refused = |problem| EngineError { socket: self.socket.clone(), problem };
        for line in told.lines() {
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            if let Some(why) = event["error"].as_str() {
                return Err(refused(EngineProblem::Refused(why.to_owned())));
            }
        }
        let there = format!("{repository}:{TAG}");
        if names.is_empty() {
            // The engine forgets what has no name. The next image without one takes this from it, and
            // leaves it to `docker image prune`.
            self.tag(&there, UNNAMED)?;
        }
        self.name(&there, names)?;
        self.ask("DELETE", &format!("/images/{}?noprune=1", escaped(&there))).map(drop)
    }

    fn name(&self, image: &str, names: &[Reference]) -> Result<(), EngineError> {
        let all = names.iter().map(|name| (name.familiar_name(), name.tag_or_latest()));
        all.into_iter().try_for_each(|(repository, tag)| self.tag(image, (&repository, tag)))
    }

    fn tag(&self, image: &str, (repository, tag): (&str, &str)) -> Result<(), EngineError> {
        let target = format!("repo={}&tag={}", escaped(repository), escaped(tag));
        self.ask("POST", &format!("/images/{}/tag?{target}", escaped(image))).map(drop)
    }

    /// Sends all of it.
    fn load(&self, image: &OutgoingImage<'_>, content: &dyn Content) -> Result<(), DeliveryError> {
        let fail = |error: io::Error| {
            DeliveryError::from(EngineError { socket: self.socket.clone(), problem: error.into() })
        };
        let stream = self.connect().map_err(fail)?;
        let head = "POST /images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\
            Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n";
        (&stream).write_all(head.as_bytes()).map_err(fail)?;
        let mut chunks = Chunks { stream: &stream, pending: Vec::with_capacity(CHUNK) };
        let machine = Platform::linux(host_architecture());
        let shape = (Flavour::Docker, Some(&machine));
        archive::write(&mut chunks, content, &image.entries(), shape)
            .map_err(DeliveryError::Archive)?;
        chunks.end().map_err(fail)?;
        let told = self.answer(&stream)?;
        match told.lines().find(|line| line.contains("\"error\"")) {
            Some(line) => {
                let problem = EngineProblem::Refused(line.to_owned());
                Err(EngineError { socket: self.socket.clone(), problem }.into())
            }
            None => Ok(()),
        }
    }

    fn connect(&self) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(stream)
    }

    /// Asks without a body, and gives what it answers if that is no error.
    fn ask(&self, method: &str, path: &str) -> Result<String, EngineError> {
        let fail =
            |error: io::Error| EngineError { socket: self.socket.clone(), problem: error.into() };
        let stream = self.connect().map_err(fail)?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        (&stream).write_all(head.as_bytes()).map_err(fail)?;
        self.answer(&stream)
    }

    fn answer(&self, stream: &UnixStream) -> Result<String, EngineError> {
        let fail = |problem: EngineProblem| EngineError { socket: self.socket.clone(), problem };
        let (status, body) = read_answer(stream).map_err(|error| fail(error.into()))?;
        if (200..300).contains(&status) {
            return Ok(body);
        }
        let told: Value = serde_json::from_str(&body).unwrap_or_default();
        let message = told["message"].as_str().unwrap_or(&body).trim().to_owned();
        Err(fail(EngineProblem::Answer { status, message }))
    }
}

/// The status and the text of an answer, after which the connection is closed.
fn read_answer(stream: impl Read) -> io::Result<(u16, String)> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let mut is_chunked = false;
    loop {
        line.clear();
        if lines.read_line(&mut line)? <= "\r\n".len() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        is_chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
    }
    let mut body = Vec::new();
    if is_chunked {
        read_chunks(&mut lines, &mut body)?;
    } else {
        lines.take(MAX_ANSWER).read_to_end(&mut body)?;
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

/// What is in chunks; of an answer that is too long its end, where it says how it went.
fn read_chunks(lines: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let length = line.trim().split(';').next().unwrap_or_default();
        let length = u64::from_str_radix(length, 16).map_err(io::Error::other)?;
        if length == 0 {
            return Ok(());
        }
        lines.by_ref().take(length).read_to_end(body)?;
        lines.read_line(&mut line)?;
        if body.len() as u64 > MAX_ANSWER {
            body.drain(..body.len() / 2);
        }
    }
}

/// Bytes of a chunk: few calls, and little memory.
const CHUNK: usize = 256 << 10;

/// A body of unknown length.
struct Chunks<'a> {
    stream: &'a UnixStream,
    pending: Vec<u8>,
}

impl Chunks<'_> {
    fn send(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        write!(self.stream, "{:x}\r\n", self.pending.len())?;
        self.stream.write_all(&self.pending)?;
        self.pending.clear();
        self.stream.write_all(b"\r\n")
    }

    fn end(mut self) -> io::Result<()> {
        self.send()?;
        self.stream.write_all(b"0\r\n\r\n")
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// A name as a part of a URL.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            // Into memory, where nothing fails.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_whole_or_in_chunks() {
        let whole = b"HTTP/1.1 404 Not Found\r\nContent-Type: x\r\n\r\n{\"message\":\"no\"}";
        assert_eq!(read_answer(&whole[..]).unwrap(), (404, "{\"message\":\"no\"}".to_owned()));
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(read_answer(&chunks[..]).unwrap(), (200, "abcde".to_owned()));
        assert!(read_answer(&b"hello\r\n"[..]).is_err());
        assert!(read_answer(&b""[..]).is_err());
    }

    #[test]
    fn names_are_parts_of_urls() {
        assert_eq!(escaped("127.0.0.1:5000/a_b"), "127.0.0.1:5000/a_b");
        assert_eq!(escaped("a@b&c d"), "a%40b%26c%20d");
    }
}
