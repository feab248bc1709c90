//! Where the bytes a step prints go.

/// Takes what a step prints, as it comes: pieces end anywhere, also inside a character.
///
/// Called from the thread that is in [`run`](crate::run).
pub trait Output: Sync {
    /// Takes the next bytes of one stream.
    fn write(&self, stream: Stream, bytes: &[u8]);
}

/// Which of its two streams a step wrote to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error; also carries why a command could not be started.
    Stderr,
}
