//! A connection to a server, over which many calls go at once. It is made when it is needed, and anew when it broke.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Mutex, oneshot};
use tokio_rustls::TlsConnector;

use crate::address::ReapiAddress;

/// How much may be on its way to us: blobs come as fast as a line with some delay carries them.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A server that takes longer to pick up is one to go on without.
const CONNECT: Duration = Duration::from_secs(10);

/// Where calls go.
pub(crate) struct Channel {
    pub(crate) address: ReapiAddress,
    tls: Option<Arc<ClientConfig>>,
    handle: Handle,
    sender: Mutex<Option<SendRequest<Bytes>>>,
    /// Dropped with this, which ends the thread that drives connections.
    _end: oneshot::Sender<()>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Channel").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Channel {
    /// A channel that is connected with the first call. `tls` says whose certificates are good.
    pub(crate) fn new(address: ReapiAddress, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("reapi".to_owned()).spawn(move || {
            // Whether it was told to end or nobody can tell it any more is the same.
            let _ = runtime.block_on(ended);
        })?;
        let tls = tls.map(|config| {
            let mut config = ClientConfig::clone(config);
            config.alpn_protocols = vec![b"h2".to_vec()];
            Arc::new(config)
        });
        Ok(Self { address, tls, handle, sender: Mutex::default(), _end: end })
    }

    /// Waits for something that goes on in this channel, for so long.
    pub(crate) fn wait<T, E: From<io::Error>>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}"));
        self.handle.block_on(async {
            tokio::time::timeout(time, work).await.unwrap_or_else(|_| Err(late().into()))
        })
    }

    /// What sends requests over the connection there is, or a new one.
    pub(crate) async fn sender(&self) -> io::Result<SendRequest<Bytes>> {
        let mut known = self.sender.lock().await;
        if let Some(sender) = known.take()
            && let Ok(ready) = sender.ready().await
        {
            return Ok(known.insert(ready).clone());
        }
        let connect = tokio::time::timeout(CONNECT, self.connect()).await;
        let sender = connect.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(known.insert(sender).clone())
    }

    async fn connect(&self) -> io::Result<SendRequest<Bytes>> {
        let host = self.address.bare_host();
        let stream = TcpStream::connect((host, self.address.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return handshake(stream).await };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        handshake(TlsConnector::from(tls.clone()).connect(name, stream).await?).await
    }
}

async fn handshake<T>(stream: T) -> io::Result<SendRequest<Bytes>>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .enable_push(false);
    let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
    // How it ended is told by the calls that it carried.
    tokio::spawn(async move { drop(connection.await) });
    sender.ready().await.map_err(io::Error::other)
}
