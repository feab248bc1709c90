//! Bytes that one thread reads and another sends.

use std::convert::Infallible;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel as bounded};

/// Long enough that handing a piece over costs nothing beside reading it, and short enough that some of them are no
/// burden for memory: the connection holds about as much again.
const PIECE: usize = 256 << 10;
/// How many pieces wait, beside the one that is being read and those that the connection has.
const WAITING: usize = 2;

/// Where pieces are handed over, and the body that they are: of so many bytes, where that is known.
pub(crate) fn channel(length: Option<u64>) -> (Feed, Pieces) {
    let (feed, pieces) = bounded(WAITING);
    (Feed(feed), Pieces { pieces, left: length })
}

/// Who hands pieces over. The body ends where this is dropped.
#[derive(Debug)]
pub(crate) struct Feed(Sender<Bytes>);

impl Feed {
    /// Reads the next piece; nothing at the end.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(crate) fn next(from: &mut dyn Read) -> io::Result<Option<Bytes>> {
        let mut piece = Vec::with_capacity(PIECE);
        from.take(PIECE as u64).read_to_end(&mut piece)?;
        Ok(Some(piece).filter(|piece| !piece.is_empty()).map(Bytes::from))
    }

    /// Hands a piece over, as soon as there is room. Says whether somebody takes it.
    pub(crate) async fn hand_over(&self, piece: Bytes) -> bool {
        self.0.send(piece).await.is_ok()
    }
}

/// The pieces, as the body of a request.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Receiver<Bytes>,
    left: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.pieces.poll_recv(context).map(|piece| {
            let piece = piece?;
            self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
            Some(Ok(Frame::data(piece)))
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_that_is_read_and_few() {
        let bytes: Vec<u8> = (0..251).cycle().take(1_500_001).collect();
        for length in [0, 1, PIECE, PIECE + 1, bytes.len()] {
            let (mut from, mut pieces) = (&bytes[..length], Vec::new());
            while let Some(piece) = Feed::next(&mut from).unwrap() {
                pieces.push(piece);
            }
            assert_eq!(pieces.len(), length.div_ceil(PIECE));
            assert!(pieces.concat() == bytes[..length], "{length}");
        }
    }

    #[test]
    fn a_body_is_as_long_as_what_is_left_of_it() {
        let (feed, mut pieces) = channel(Some(7));
        assert_eq!(pieces.size_hint().exact(), Some(7));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut pieces).poll_frame(&mut context).is_pending());
        feed.0.try_send(Bytes::from_static(b"1234")).unwrap();
        let frame = Pin::new(&mut pieces).poll_frame(&mut context);
        assert!(matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.is_data()));
        assert_eq!(pieces.size_hint().exact(), Some(3));
        drop(feed);
        assert!(matches!(Pin::new(&mut pieces).poll_frame(&mut context), Poll::Ready(None)));
        assert_eq!(channel(None).1.size_hint().exact(), None);
    }
}
