//! Connections of the API: bounded in number, bounded in the time for a head and for taking an answer, drained
//! at the end.

use super::unread;
use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt::set_tcp_user_timeout;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is needed to serve.
pub(super) struct Connections {
    pub(super) listener: TcpListener,
    pub(super) router: Router,
    /// Held at once; one more waits in the kernel's queue.
    pub(super) connections_max: usize,
    /// Longest wait for the head of a request, the first and every later one; and for a client that takes
    /// nothing of its answer.
    pub(super) header_wait_max: Duration,
    /// Longest wait for requests in flight at the end.
    pub(super) drain_wait_max: Duration,
}

impl Connections {
    /// Accepts until `stop`, then lets the requests in flight end.
    pub(super) async fn serve(self, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.connections_max));
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = accept(&self.listener, &permits) => accepted,
            };
            match accepted {
                Ok((stream, permit)) => {
                    let one =
                        converse(stream, self.router.clone(), self.header_wait_max, stop.clone());
                    connections.spawn(async move {
                        one.await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        if tokio::time::timeout(self.drain_wait_max, connections.wait()).await.is_err() {
            tracing::warn!(left = connections.len(), "requests in flight were cut off");
        }
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn converse(
    stream: TcpStream,
    router: Router,
    header_wait_max: Duration,
    stop: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    // The kernel's: it sees acknowledgements, where we see what fits into its buffers.
    let wait_ms_max = u32::try_from(header_wait_max.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = set_tcp_user_timeout(&stream, wait_ms_max) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
    let service = service_fn(move |request| unread::answer(router.clone(), request));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(header_wait_max);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
