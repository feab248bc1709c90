//! Calls: messages with a length before each, over HTTP/2, and a status behind the last one.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Method, Request, Response};

use crate::channel::Channel;

/// A call of which an answer is longer has gone wrong: servers send at most 4 MiB at once.
const MAX_MESSAGE: usize = 16 << 20;
/// So much of a message is to be sent at once.
const PIECE: usize = 64 << 10;
/// What precedes a message: whether it is compressed (1), and its length (4).
const PREFIX: usize = 5;
/// How long a call may take beside its bytes, and a stream be silent.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The server said so; the numbers are those of gRPC.
    #[error("{message} (status {code})")]
    Status { code: u32, message: String },
    /// The server was not reached, or hung up.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not speak gRPC.
    #[error("{0}")]
    Protocol(String),
}

impl From<h2::Error> for CallError {
    fn from(error: h2::Error) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// A call to which messages are sent, until its answer is asked for.
pub(crate) struct Call<'a> {
    channel: &'a Channel,
    send: SendStream<Bytes>,
    response: ResponseFuture,
}

/// Messages that a server sends.
pub(crate) struct Messages<'a> {
    channel: &'a Channel,
    body: RecvStream,
    received: BytesMut,
    /// What precedes the answer, and says the status where no message comes.
    head: HeaderMap,
}

impl<'a> Call<'a> {
    /// Begins a call of a method: `SERVICE/METHOD`.
    pub(crate) fn begin(
        channel: &'a Channel,
        method: &str,
        headers: &HeaderMap,
    ) -> Result<Self, CallError> {
        let scheme = if channel.address.is_encrypted() { "https" } else { "http" };
        let uri = format!("{scheme}://{}/{method}", channel.address.authority());
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", concat!("wythe/", env!("CARGO_PKG_VERSION")));
        let mut request = request.body(()).map_err(io::Error::other)?;
        request.headers_mut().extend(headers.clone());
        let (response, send) = channel.wait(PATIENCE, async {
            let mut sender = channel.sender().await?;
            Ok::<_, CallError>(sender.send_request(request, false)?)
        })?;
        Ok(Self { channel, send, response })
    }

    /// Sends a message.
    pub(crate) fn send(&mut self, message: &[u8]) -> Result<(), CallError> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let mut framed = BytesMut::with_capacity(PREFIX + message.len());
        framed.extend_from_slice(&[0]);
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(message);
        let mut framed = framed.freeze();
        while framed.has_remaining() {
            let send = &mut self.send;
            self.channel.wait(PATIENCE, async {
                // As much as the server takes now.
                send.reserve_capacity(framed.len().min(PIECE));
                while send.capacity() == 0 {
                    let granted = poll_fn(|context| send.poll_capacity(context)).await;
                    granted.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))??;
                }
                let piece = framed.split_to(framed.len().min(send.capacity()));
                Ok::<_, CallError>(send.send_data(piece, false)?)
            })?;
        }
        Ok(())
    }

    /// Ends what is sent, and waits for what comes back.
    pub(crate) fn finish(self) -> Result<Messages<'a>, CallError> {
        let Self { channel, mut send, response } = self;
        // A server that has answered already takes no more.
        let ended = send.send_data(Bytes::new(), true);
        let answer = channel.wait(PATIENCE, async { Ok::<_, CallError>(response.await?) });
        let answer: Response<RecvStream> = match (answer, ended) {
            (Ok(answer), _) => answer,
            (Err(error), _) => return Err(error),
        };
        if answer.status() != 200 {
            return Err(CallError::Protocol(format!("HTTP status {}", answer.status())));
        }
        let (parts, body) = answer.into_parts();
        Ok(Messages { channel, body, received: BytesMut::new(), head: parts.headers })
    }
}

impl Messages<'_> {
    /// The next message; none once the call has ended well.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            if let Some(message) = self.complete()? {
                return Ok(Some(message));
            }
            let Self { channel, body, received, .. } = self;
            let came = channel.wait(PATIENCE, async {
                let Some(data) = body.data().await else { return Ok(false) };
                let data = data?;
                // Asked for anew as it is taken.
                body.flow_control().release_capacity(data.len())?;
                received.extend_from_slice(&data);
                Ok::<_, CallError>(true)
            })?;
            if !came {
                self.end()?;
                return Ok(None);
            }
        }
    }

    /// A message of which all bytes have come.
    fn complete(&mut self) -> Result<Option<Bytes>, CallError> {
        let Some(prefix) = self.received.first_chunk::<PREFIX>() else { return Ok(None) };
        let [compressed, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if compressed != 0 || MAX_MESSAGE < length {
            return Err(CallError::Protocol("a message that is compressed or too long".to_owned()));
        }
        if self.received.len() < PREFIX + length {
            return Ok(None);
        }
        self.received.advance(PREFIX);
        Ok(Some(self.received.split_to(length).freeze()))
    }

    /// What the server says in the end.
    fn end(&mut self) -> Result<(), CallError> {
        let Self { channel, body, head, .. } = self;
        let trailers =
            channel.wait(PATIENCE, async { Ok::<_, CallError>(body.trailers().await?) })?;
        let said = trailers.as_ref().unwrap_or(head);
        let text = |name: &str| said.get(name).and_then(|value| value.to_str().ok());
        match text("grpc-status").and_then(|code| code.parse().ok()) {
            Some(0) if self.received.is_empty() => Ok(()),
            Some(0) | None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(code) => {
                let message = text("grpc-message").unwrap_or("refused").replace("%20", " ");
                Err(CallError::Status { code, message })
            }
        }
    }
}

/// A call with one message each way.
pub(crate) fn unary(
    channel: &Channel,
    (method, headers): (&str, &HeaderMap),
    message: &[u8],
) -> Result<Bytes, CallError> {
    let mut call = Call::begin(channel, method, headers)?;
    let sent = call.send(message);
    let mut answers = call.finish().map_err(|error| sent.err().unwrap_or(error))?;
    let answer = answers.next()?;
    let answer = answer.ok_or_else(|| CallError::Protocol("there is no answer".to_owned()))?;
    while answers.next()?.is_some() {}
    Ok(answer)
}
