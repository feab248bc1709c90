//! A web server in this process, for tests of what asks one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// A request as it came in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// What is sent back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// After how much of the body the connection breaks.
    pub(crate) cut: Option<usize>,
}

impl Seen {
    /// The range that is asked for: the first byte and the last.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let range = self.headers.get("range")?.strip_prefix("bytes=")?;
        let (start, end) = range.split_once('-')?;
        Some((start.parse().ok()?, end.parse().ok()?))
    }
}

impl Answer {
    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn bytes(body: Vec<u8>) -> Self {
        Self { body, ..Self::status(200) }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What of `bytes` was asked for.
    pub(crate) fn part_of(bytes: &[u8], seen: &Seen) -> Self {
        let Some((start, end)) = seen.range() else { return Self::bytes(bytes.to_vec()) };
        if start >= bytes.len() {
            return Self::status(416);
        }
        let end = end.min(bytes.len() - 1);
        let range = format!("bytes {start}-{end}/{}", bytes.len());
        let part = bytes[start..=end].to_vec();
        Self { body: part, ..Self::status(206) }.with("Content-Range", &range)
    }
}

/// Starts a server that ends with the process, and says its address.
pub(crate) fn serve(answer: impl Fn(&Seen) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // A connection that breaks is the client's to notice.
            thread::spawn(move || drop(exchange(stream, &*answer)));
        }
    });
    url
}

fn exchange(mut stream: TcpStream, answer: &dyn Fn(&Seen) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut seen = Seen::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    words.next().unwrap_or_default().clone_into(&mut seen.method);
    words.next().unwrap_or_default().clone_into(&mut seen.target);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        seen.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = seen
        .headers
        .get("content-length")
        .map_or(0, |text| text.parse().expect("nobody panics with it"));
    reader.take(length).read_to_end(&mut seen.body)?;
    let Answer { status, headers, body, cut } = answer(&seen);
    let mut head = format!("HTTP/1.1 {status} Fake\r\nConnection: close\r\n");
    let length = body.len();
    if status != 204 {
        head = format!("{head}Content-Length: {length}\r\n");
    }
    for (name, value) in headers {
        head = format!("{head}{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if seen.method != "HEAD" {
        stream.write_all(&body[..cut.unwrap_or(length)])?;
    }
    stream.flush()
}
