//! A request as it comes in: its head, and the way to its body.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// The longest head that is read.
const MAX_HEAD: usize = 64 << 10;
/// More headers than any client sends.
const MAX_HEADERS: usize = 128;

/// The head of a request.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The path and query, as sent.
    pub(crate) target: String,
    /// By name in small letters; several of one name are one list.
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// Reads a head; `None` where the client has nothing more to ask.
    pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut head = Vec::new();
        if reader.fill_buf()?.first().is_some_and(|first| !first.is_ascii_uppercase()) {
            // Who begins with TLS sends nothing more before there is an answer.
            return Err(invalid("a method"));
        }
        while !head.ends_with(b"\r\n\r\n") {
            let left = (MAX_HEAD - head.len().min(MAX_HEAD)) as u64;
            if reader.by_ref().take(left).read_until(b'\n', &mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(invalid("a head")) };
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&head).map_err(io::Error::other)?;
        let mut request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            target: parsed.path.unwrap_or_default().to_owned(),
            headers: BTreeMap::new(),
        };
        for header in parsed.headers.iter() {
            let value = String::from_utf8_lossy(header.value).into_owned();
            let values = request.headers.entry(header.name.to_ascii_lowercase());
            values.and_modify(|values| *values = format!("{values}, {value}")).or_insert(value);
        }
        Ok(Some(request))
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }

    /// The query, as sent.
    pub(crate) fn raw_query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The values of a name in the query.
    pub(crate) fn query(&self, name: &str) -> Vec<String> {
        pairs(self.raw_query()).filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// What it is about: the digest that ends an upload, wherever that is, and else a path.
    pub(crate) fn object(&self) -> String {
        self.query("digest").into_iter().next().unwrap_or_else(|| self.path().to_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// How long the body is; `None` where that shows at its end.
    pub(crate) fn length(&self) -> Option<u64> {
        if self.header("transfer-encoding").is_some() {
            return None;
        }
        Some(self.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0))
    }
}

/// The pairs of a form or query.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            percent_decode_str(&text).decode_utf8_lossy().into_owned()
        };
        (decode(name), decode(value))
    })
}

/// A body on its way in, which counts what was read of it.
pub(crate) struct Body<'a> {
    reader: &'a mut dyn BufRead,
    left: Left,
    /// Bytes of it that were read.
    pub(crate) passed: u64,
    /// After how many bytes the connection breaks.
    pub(crate) breaks: Option<u64>,
    /// How many bytes come in a second.
    pub(crate) rate: Option<u64>,
}

/// What is still to come.
enum Left {
    Bytes(u64),
    /// So many of a piece, and then more pieces.
    Piece(u64),
    Ended,
}

impl<'a> Body<'a> {
    pub(crate) fn new(reader: &'a mut dyn BufRead, length: Option<u64>) -> Self {
        let left = length.map_or(Left::Piece(0), Left::Bytes);
        Self { reader, left, passed: 0, breaks: None, rate: None }
    }

    /// How much may be read now; 0 at the end.
    fn available(&mut self) -> io::Result<u64> {
        match self.left {
            Left::Piece(0) => {
                let size = self.piece()?;
                self.left = if size == 0 { Left::Ended } else { Left::Piece(size) };
                Ok(size)
            }
            Left::Bytes(left) | Left::Piece(left) => Ok(left),
            Left::Ended => Ok(0),
        }
    }

    /// The size of the next piece; after the last, what follows it is read, too.
    fn piece(&mut self) -> io::Result<u64> {
        let mut line = self.line()?;
        if line.is_empty() && 0 < self.passed {
            line = self.line()?;
        }
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| invalid("the size of a piece"))?;
        while size == 0 && !self.line()?.is_empty() {}
        Ok(size)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut *self.reader).take(MAX_HEAD as u64).read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut most = self.available()?.min(buffer.len() as u64);
        if let Some(breaks) = self.breaks {
            if 0 < most && breaks <= self.passed {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            most = most.min(breaks - self.passed.min(breaks));
        }
        if most == 0 {
            // A reader asked for nothing waits for more than this body.
            return Ok(0);
        }
        let most = usize::try_from(most).unwrap_or(buffer.len());
        let count = self.reader.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.passed += count as u64;
        if let Some(rate) = self.rate {
            thread::sleep(time_of(count, rate));
        }
        match &mut self.left {
            Left::Bytes(left) | Left::Piece(left) => *left -= count as u64,
            Left::Ended => {}
        }
        Ok(count)
    }
}

/// How long so many bytes take.
pub(crate) fn time_of(bytes: usize, rate: u64) -> Duration {
    Duration::from_micros(bytes as u64 * 1_000_000 / rate.max(1))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_one_body_and_the_next_request_follows() {
        let mut bytes = &b"4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\n\r\nGET / HTTP/1.1\r\nA: b\r\n\r\n"[..];
        let mut text = String::new();
        Body::new(&mut bytes, None).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abcdef");
        let next = Request::read(&mut bytes).unwrap().unwrap();
        assert_eq!((&*next.method, next.header("a")), ("GET", Some("b")));
        assert_eq!(Request::read(&mut bytes).unwrap(), None);
    }

    #[test]
    fn a_body_that_breaks_gives_what_came_before() {
        let mut bytes = &b"abcdef"[..];
        let mut body = Body { breaks: Some(4), ..Body::new(&mut bytes, Some(6)) };
        let mut text = Vec::new();
        assert!(body.read_to_end(&mut text).is_err());
        assert_eq!((&*text, body.passed), (&b"abcd"[..], 4));
    }

    #[test]
    fn headers_of_one_name_are_one_list() {
        let mut bytes = &b"GET / HTTP/1.1\r\nAccept: a\r\naccept: b\r\n\r\n"[..];
        let request = Request::read(&mut bytes).unwrap().unwrap();
        assert_eq!(request.header("accept"), Some("a, b"));
    }

    #[test]
    fn who_speaks_tls_is_not_waited_for() {
        assert!(Request::read(&mut &b"\x16\x03\x01"[..]).is_err());
    }

    #[test]
    fn a_query_is_decoded() {
        let request =
            Request { target: "/t?a=b%20c+d&scope=x&scope=y".to_owned(), ..Request::default() };
        assert_eq!(request.query("a"), ["b c d"]);
        assert_eq!(request.query("scope"), ["x", "y"]);
        assert_eq!(request.path(), "/t");
    }
}
