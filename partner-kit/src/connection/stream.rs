//! The bytes of a connection, with what is done to them on purpose.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TLS 1.2 record: the fatal alert `certificate_expired`.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 45];

/// What is to be done to a connection.
#[derive(Debug, Default)]
pub(super) struct Marks {
    resets: AtomicBool,
    alerts: AtomicBool,
    closes: AtomicBool,
}

impl Marks {
    /// From here on the end is a reset (RST) and not a proper close (FIN).
    pub(super) fn reset(&self) {
        self.resets.store(true, Ordering::Relaxed);
    }

    /// From here on a TLS alert is written in the place of everything else.
    pub(super) fn alert(&self) {
        self.alerts.store(true, Ordering::Relaxed);
    }

    /// The next request is to be met with a close.
    pub(super) fn close(&self) {
        self.closes.store(true, Ordering::Relaxed);
    }

    pub(super) fn closes(&self) -> bool {
        self.closes.load(Ordering::Relaxed)
    }

    fn resets(&self) -> bool {
        self.resets.load(Ordering::Relaxed)
    }
}

/// A stream that does what its marks say.
#[derive(Debug)]
pub(super) struct Stream {
    stream: TcpStream,
    marks: Arc<Marks>,
    /// Bytes of the alert that were written.
    alerted: usize,
}

impl Stream {
    pub(super) fn new(stream: TcpStream, marks: Arc<Marks>) -> Self {
        Self { stream, marks, alerted: 0 }
    }

    /// Writes the alert; `None` if there is none to be written.
    fn poll_alert(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        if !self.marks.alerts.load(Ordering::Relaxed) {
            return None;
        }
        while let Some(left) = ALERT.get(self.alerted..).filter(|left| !left.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(context, left) {
                Poll::Ready(Ok(written)) => self.alerted = self.alerted.saturating_add(written),
                Poll::Ready(Err(error)) => return Some(Poll::Ready(Err(error))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        Some(Poll::Ready(Ok(())))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.marks.resets()
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "cannot reset, only close");
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(alerted) = self.poll_alert(context) {
            ready!(alerted)?;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.marks.resets() {
            // A FIN first would make the reset a proper end.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(alerted) = self.poll_alert(context) {
            ready!(alerted)?;
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
