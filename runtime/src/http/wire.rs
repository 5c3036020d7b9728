//! Connections that know whether they have served before and whether an answer has begun.

use super::guard::{Forbidden, Guard, is_plain};
use super::outbound::Outbound;
use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tower::{BoxError, Service, ServiceExt};

/// What became of one connection; shared between it and the calls it serves, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Use(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    /// A call on this connection was answered at some time.
    served: AtomicBool,
    /// The call last written was answered: the next write begins another call.
    rested: AtomicBool,
    /// A byte was read since the call last written began.
    answering: AtomicBool,
}

impl Use {
    /// The head of an answer was read.
    pub(super) fn answered(&self) {
        self.0.served.store(true, Ordering::Release);
        self.0.rested.store(true, Ordering::Release);
    }

    /// True if the connection had served before and ended without a byte of the next answer.
    pub(super) fn closed_while_idle(&self) -> bool {
        self.0.served.load(Ordering::Acquire) && !self.0.answering.load(Ordering::Acquire)
    }

    fn wrote(&self) {
        if self.0.rested.swap(false, Ordering::AcqRel) {
            self.0.answering.store(false, Ordering::Release);
        }
    }

    fn read(&self) {
        self.0.answering.store(true, Ordering::Release);
    }
}

/// Why a connection was not opened.
#[derive(Debug, Error)]
pub(super) enum Refused {
    /// It may not be.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// No TLS with them.
    #[error("the handshake failed: {0}")]
    Handshake(io::Error),
    /// No TLS with anybody.
    #[error("this client speaks no TLS")]
    NoTls,
}

/// Finds the addresses of a name.
pub(super) type Lookup = Arc<dyn Fn(Name) -> Found + Send + Sync>;
type Found = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Lookups of one name at once. The system's cannot be broken off: those of a name whose server is silent would
/// take all threads that wait for others.
pub(super) const LOOKUPS_MAX: usize = 2;

/// As the system finds them.
pub(super) fn system_lookup() -> Lookup {
    lookup_by(|name| Ok((name, 0).to_socket_addrs()?.collect()))
}

/// As a function finds them that blocks.
pub(super) fn lookup_by(find: fn(&str) -> io::Result<Vec<SocketAddr>>) -> Lookup {
    let rooms: Mutex<BTreeMap<String, Arc<Semaphore>>> = Mutex::default();
    Arc::new(move |name| {
        let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let room = rooms.entry(name.as_str().to_owned());
        let room = room.or_insert_with(|| Arc::new(Semaphore::new(LOOKUPS_MAX))).clone();
        Box::pin(async move {
            let place = room.acquire_owned().await.map_err(io::Error::other)?;
            let found = spawn_blocking(move || {
                let _until_it_ends = place;
                find(name.as_str())
            });
            found.await.map_err(io::Error::other)?
        })
    })
}

/// Opens connections: TCP without delay, and TLS where the scheme says so, each with its [`Use`].
#[derive(Clone)]
pub(super) struct Connector {
    wait_max: Duration,
    /// `None` calls any address, without TLS.
    outbound: Option<Outbound>,
    lookup: Lookup,
}

impl Connector {
    pub(super) fn new(wait_max: Duration, outbound: Option<Outbound>, lookup: Lookup) -> Self {
        Self { wait_max, outbound, lookup }
    }

    async fn connect(self, url: Uri) -> Result<TokioIo<Wire>, BoxError> {
        let plain = is_plain(&url).ok_or(Refused::Forbidden(Forbidden::Form))?;
        let (guard, tls) = match self.outbound {
            Some(Outbound { guard, tls }) => (Some(guard), tls),
            None => (None, None),
        };
        if !plain && tls.is_none() {
            return Err(Refused::NoTls.into());
        }
        // Addresses that stand in a URL are never looked up.
        guard.as_ref().map_or(Ok(()), |guard| guard.url(&url)).map_err(Refused::from)?;
        let host = url.host().unwrap_or_default().to_owned();
        let resolver = Resolver { lookup: self.lookup, guard, plain };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.wait_max));
        tcp.enforce_http(false);
        let tcp = tcp.oneshot(url).await?.into_inner();
        let stream = match tls {
            Some(tls) if !plain => {
                let stream = tls.connect(&host, tcp).await.map_err(|error| {
                    // One that they broke off says nothing of TLS.
                    let is_tls = error.get_ref().is_some_and(|inside| inside.is::<rustls::Error>());
                    if is_tls { BoxError::from(Refused::Handshake(error)) } else { error.into() }
                })?;
                Stream::Tls(Box::new(stream))
            }
            Some(_) | None => Stream::Plain(tcp),
        };
        // What the handshake read and wrote is no part of any call.
        Ok(TokioIo::new(Wire { stream, used: Use::default() }))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("outbound", &self.outbound).finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (wait_max, connecting) = (self.wait_max, self.clone().connect(url));
        Box::pin(async move { timeout(wait_max, connecting).await? })
    }
}

/// Looks a name up once for a connection, and lets nothing through of which an address is forbidden: the
/// connection goes to what was looked at.
#[derive(Clone)]
pub(super) struct Resolver {
    pub(super) lookup: Lookup,
    pub(super) guard: Option<Guard>,
    pub(super) plain: bool,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (found, guard, plain) = ((self.lookup)(name), self.guard.clone(), self.plain);
        Box::pin(async move {
            let found = found.await?;
            if let Some(guard) = guard {
                for address in &found {
                    guard.address(address.ip(), plain).map_err(Refused::from)?;
                }
            }
            Ok(found.into_iter())
        })
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    used: Use,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What both kinds of stream can do.
trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

impl Wire {
    fn stream(&mut self) -> Pin<&mut dyn Io> {
        match &mut self.stream {
            Stream::Plain(tcp) => Pin::new(tcp),
            Stream::Tls(tls) => Pin::new(tls.as_mut()),
        }
    }
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        let tcp = match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        tcp.connected().extra(self.used.clone())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let read = self.stream().poll_read(context, buffer);
        if filled < buffer.filled().len() {
            self.used.read();
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.used.wrote();
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.used.wrote();
        self.stream().poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(tcp) => tcp.is_write_vectored(),
            Stream::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}
