//! What is asked of a cache on a thread of its own, which is left behind where it takes too long.

use std::sync::mpsc::channel;
use std::time::Duration;

use wythe_store::cache_backend::CacheBackend;

/// A cache that took too long.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("cache {backend}: not written within {time:?}")]
pub struct Late {
    /// The name of the cache.
    pub backend: String,
    /// How long it might have taken.
    pub time: Duration,
}

/// Does something with a cache, for so long at most.
pub(crate) fn in_time<T: Send + 'static>(
    backend: &dyn CacheBackend,
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Late> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || drop(sender.send(work())));
    let backend = backend.name().to_owned();
    receiver.recv_timeout(time).map_err(|_| Late { backend, time })
}
