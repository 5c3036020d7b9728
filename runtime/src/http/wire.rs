//! Connections that know whether they have served before and whether an answer has begun.

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::{BoxError, Service};

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

/// Opens connections: TCP without delay, each with its [`Use`].
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
}

impl Connector {
    pub(super) fn new(wait_max: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(wait_max));
        tcp.enforce_http(true);
        Self { tcp }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let connecting = self.tcp.call(url);
        Box::pin(async move {
            let tcp = connecting.await?.into_inner();
            Ok(TokioIo::new(Wire { tcp, used: Use::default() }))
        })
    }
}

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    tcp: TcpStream,
    used: Use,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.tcp.connected().extra(self.used.clone())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(context, buffer);
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
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.used.wrote();
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
