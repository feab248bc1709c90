//! One connection: requests one after another, and what goes wrong with them.

use std::io::{self, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use crate::answer::{Answer, Content};
use crate::fault::Kind;
use crate::journal::{Entry, Origin, Shown};
use crate::request::{Body, Request, time_of};
use crate::routes::{Exchange, Place};
use crate::server::Shared;
use crate::step::Step;
use crate::wire::Wire;

/// Bytes of an answer that are written at a time.
const PIECE: u64 = 1 << 16;
/// In how many pieces a slow body comes, and how long each takes.
const SLOW: (u64, Duration) = (100, Duration::from_millis(10));
/// How long what was sent before a break has to arrive.
const PAUSE: Duration = Duration::from_millis(50);
/// What of a body nobody wanted is read before the connection ends: a client that is still writing would
/// lose the answer with it.
const LINGERING: u64 = 64 << 20;

/// A connection that was broken on purpose.
struct Broken;

/// Answers what comes on a connection.
pub(crate) fn serve(shared: &Shared, origin: Origin, stream: &Wire) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let request = match Request::read(&mut reader) {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return stream.refuse();
            }
            Err(error) => return Err(error),
        };
        let asks_for_leave = request.header("expect").is_some();
        let length = request.length();
        let mut body = Body::new(&mut reader, length);
        let step = Place::of(request.path()).step(&request.method);
        let object = request.object();
        let fault = shared.quirks.faults.iter().find_map(|fault| fault.strike(step, &object));
        if matches!(step, Step::Patch | Step::PutBlob) {
            body.rate = shared.quirks.rate;
        }
        let mut entry = entry(origin, step, &request);
        if origin == Origin::Storage && stream.shows_certificate() {
            entry.credentials = Shown::Yes;
        }
        if asks_for_leave && fault != Some(Kind::ResetBefore) {
            (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let exchange = Exchange { shared, origin, request: &request };
        let answered = match fault {
            Some(Kind::ResetBefore) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Kind::Status(status)) => Ok(exchange.refused(status)),
            _ => exchange.answer(&mut body),
        };
        let sent = match answered {
            Err(_) => Err(Broken),
            Ok(_) if fault == Some(Kind::LostAnswer) => Err(Broken),
            Ok(answer) => {
                entry.status = answer.status;
                let breaks = shared.quirks.resets.as_ref().filter(|_| step == Step::GetBlob);
                let breaks = breaks.and_then(|breaks| breaks.strike(answer.body.len()));
                let rate = shared.quirks.rate.filter(|_| step == Step::GetBlob);
                let sending =
                    Sending { stream, is_head: request.method == "HEAD", fault, breaks, rate };
                sending.send(&answer, &mut entry.sent)?
            }
        };
        // Whatever was not wanted: what comes after it is the next request.
        let drained =
            sent.is_ok() && io::copy(&mut (&mut body).take(LINGERING), &mut io::sink()).is_ok();
        entry.received = body.passed;
        shared.journal.add(entry);
        if sent.is_err() {
            // What was sent arrives: the other end loses nothing that counts as gone out.
            thread::sleep(PAUSE);
            return stream.reset();
        }
        if !drained
            || request.header("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"))
        {
            break;
        }
    }
    stream.end()
}

fn entry(origin: Origin, step: Step, request: &Request) -> Entry {
    let shown = request.header("authorization").is_some() || request.header("cookie").is_some();
    Entry {
        origin,
        step,
        method: request.method.clone(),
        target: request.target.clone(),
        status: 0,
        received: 0,
        sent: 0,
        credentials: if shown { Shown::Yes } else { Shown::No },
    }
}

/// How an answer is sent.
struct Sending<'a> {
    stream: &'a Wire,
    is_head: bool,
    fault: Option<Kind>,
    /// After how many bytes of the body the connection breaks.
    breaks: Option<u64>,
    /// Bytes in a second.
    rate: Option<u64>,
}

impl Sending<'_> {
    /// Sends it, and counts the bytes of its body.
    fn send(&self, answer: &Answer, sent: &mut u64) -> io::Result<Result<(), Broken>> {
        let mut out = BufWriter::new(self.stream);
        write!(out, "HTTP/1.1 {} Quirks\r\n", answer.status)?;
        for (name, value) in &answer.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        if answer.status != 204 {
            write!(out, "Content-Length: {}\r\n", answer.body.len())?;
        }
        out.write_all(b"\r\n")?;
        out.flush()?;
        if self.fault == Some(Kind::ResetAfterHeaders) {
            return Ok(Err(Broken));
        }
        if self.is_head || answer.status == 204 {
            return Ok(Ok(()));
        }
        let length = answer.body.len();
        let half = (self.fault == Some(Kind::HalfBody)).then_some(length / 2);
        let end = [half, self.breaks].into_iter().flatten().min().unwrap_or(length);
        self.body(&answer.body, end, sent)?;
        Ok(if end < length || half.is_some() { Err(Broken) } else { Ok(()) })
    }

    fn body(&self, content: &Content, end: u64, sent: &mut u64) -> io::Result<()> {
        let is_slow = self.fault == Some(Kind::Slow);
        let (pieces, pause) = SLOW;
        let most = if is_slow { end.div_ceil(pieces).max(1) } else { PIECE };
        let most = self.rate.map_or(most, |rate| most.min((rate / 10).max(1)));
        while *sent < end {
            let mut piece = piece(content, *sent, most.min(end - *sent))?;
            if self.fault == Some(Kind::WrongBytes) && *sent == 0 {
                piece[0] ^= 1;
            }
            (&mut &*self.stream).write_all(&piece)?;
            *sent += piece.len() as u64;
            if is_slow {
                thread::sleep(pause);
            }
            if let Some(rate) = self.rate {
                thread::sleep(time_of(piece.len(), rate));
            }
        }
        Ok(())
    }
}

/// Some bytes of a body.
fn piece(content: &Content, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(length).map_err(io::Error::other)?;
    match content {
        Content::Bytes(bytes) => {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            Ok(bytes[at..at + size].to_vec())
        }
        Content::File(file, range) => {
            let mut piece = vec![0; size];
            file.read_exact_at(&mut piece, range.start + at)?;
            Ok(piece)
        }
    }
}
