//! Requests and answers as bytes of HTTP/1.1, one exchange on a connection.

use std::fmt::Write as _;
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;

use flate2::write::GzEncoder;

use super::Seen;

/// What is sent back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// How much of the body is sent before the connection breaks.
    pub(super) cut: Option<usize>,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), cut: None }
    }

    pub(super) fn json(text: String) -> Self {
        Self { body: text.into_bytes(), ..Self::status(200) }
            .with("Content-Type", "application/json")
    }

    /// The same, compressed for the way.
    pub(super) fn coded(mut self) -> Self {
        let mut body = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        // Into memory, where nothing fails.
        let written = body.write_all(&self.body);
        self.body = written.and_then(|()| body.finish()).unwrap_or_default();
        self.with("Content-Encoding", "gzip")
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Reads a request up to its body.
pub(super) fn read_head(reader: &mut impl BufRead) -> io::Result<Seen> {
    let mut request = Seen::default();
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    words.next().unwrap_or_default().clone_into(&mut request.method);
    words.next().unwrap_or_default().clone_into(&mut request.target);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Ok(request)
}

/// Reads the body of a request, so many bytes at most.
pub(super) fn read_body(
    reader: &mut impl BufRead,
    request: &Seen,
    most: u64,
) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        while let Some(left) = most.checked_sub(body.len() as u64).filter(|left| 0 < *left) {
            let length = read_number(reader)?;
            reader.take(length.min(left)).read_to_end(&mut body)?;
            if length == 0 {
                read_line(reader)?;
                break;
            }
            if length <= left {
                read_line(reader)?;
            }
        }
        return Ok(body);
    }
    let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
    reader.take(length.unwrap_or(0).min(most)).read_to_end(&mut body)?;
    Ok(body)
}

/// The length of a chunk.
fn read_number(reader: &mut impl BufRead) -> io::Result<u64> {
    u64::from_str_radix(read_line(reader)?.trim(), 16).map_err(io::Error::other)
}

fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line).map(|_| line)
}

pub(super) fn write_answer(
    mut stream: TcpStream,
    request: &Seen,
    answer: &Answer,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} Fake\r\nConnection: close\r\n", answer.status);
    write!(head, "Content-Length: {}\r\n", answer.body.len()).map_err(io::Error::other)?;
    for (name, value) in &answer.headers {
        write!(head, "{name}: {value}\r\n").map_err(io::Error::other)?;
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    if request.method != "HEAD" {
        stream.write_all(&answer.body[..answer.cut.unwrap_or(answer.body.len())])?;
    }
    stream.flush()
}
