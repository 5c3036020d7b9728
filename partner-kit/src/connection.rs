//! Connections: accepted, served, mistreated on purpose, drained at the end.

mod body;
mod stream;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::response::Response;
use body::{End, Pieces};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use schemas::contract::ANSWER_BYTES_MAX;
use std::iter::{once, repeat_n};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use stream::{Marks, Stream};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How long requests in flight may take once the wallet is to stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// Pause after a failed accept, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Pieces of a body that is too large, and how many: 100 MB.
const PIECE: Bytes = Bytes::from_static(&[b' '; 64 * 1024]);
const PIECES: usize = 1_600;
/// Headers that are too many, and what each says: 1 MB.
const HEADERS: usize = 2_000;
const HEADER: HeaderValue = HeaderValue::from_static(match str::from_utf8(&[b'x'; 500]) {
    Ok(text) => text,
    Err(_) => "",
});
/// From the first half of a body to the reset: the half arrives.
const HALF_WAIT: Duration = Duration::from_millis(50);

/// On a response: what the connection makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// A reset in its place.
    Reset,
    /// A TLS alert in its place, and the end.
    TlsAlert,
    /// The connection is closed when the next request has come.
    CloseLater,
    /// Chunks without a last one.
    Endless,
    /// A byte at a time.
    ByteByByte(Duration),
    /// Blanks behind the body, 100 MB.
    HugeBody,
    /// Headers, 1 MB.
    HugeHeaders,
    /// A reset amid the body.
    ResetMidBody,
}

/// The connection ends without an answer.
#[derive(Debug, Error)]
#[error("the connection ends on purpose")]
struct EndError;

/// Serves until `shutdown`, then lets the requests in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, router.clone(), shutdown.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN_MAX, connections.wait()).await.is_err() {
        tracing::warn!(left = connections.len(), "connections did not end in time");
    }
}

async fn converse(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let marks = Arc::new(Marks::default());
    let io = TokioIo::new(Stream::new(stream, Arc::clone(&marks)));
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let (router, marks) = (router.clone(), Arc::clone(&marks));
        async move {
            if marks.closes() {
                return Err(EndError);
            }
            let Ok(response) = router.oneshot(request.map(Body::new)).await;
            match response.extensions().get::<Wire>().copied() {
                None => Ok(response),
                Some(wire) => mistreated(response, wire, &marks).await,
            }
        }
    });
    let mut connection = pin!(http1::Builder::new().serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}

async fn mistreated(
    mut response: Response,
    wire: Wire,
    marks: &Arc<Marks>,
) -> Result<Response, EndError> {
    let pieces = match wire {
        Wire::Reset => {
            marks.reset();
            return Err(EndError);
        }
        Wire::TlsAlert => {
            marks.alert();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
        Wire::CloseLater => {
            marks.close();
            return Ok(response);
        }
        Wire::HugeHeaders => {
            for number in 0..HEADERS {
                let name = HeaderName::try_from(format!("x-{number}")).map_err(|_| EndError)?;
                response.headers_mut().insert(name, HEADER);
            }
            return Ok(response);
        }
        Wire::Endless | Wire::ByteByByte(_) | Wire::HugeBody | Wire::ResetMidBody => wire,
    };
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_BYTES_MAX).await.map_err(|_| EndError)?;
    let pieces = match pieces {
        Wire::ByteByByte(pause) => {
            let bytes = (0..body.len()).map(|at| body.slice(at..at.saturating_add(1)));
            Pieces::new(bytes.collect(), pause, End::Whole)
        }
        Wire::HugeBody => {
            let all = once(body).chain(repeat_n(PIECE, PIECES));
            Pieces::new(all.collect(), Duration::ZERO, End::Whole)
        }
        Wire::ResetMidBody => {
            // The length of the whole is promised.
            let half = body.slice(..body.len().div_ceil(2));
            let pieces = Pieces::new([half].into(), HALF_WAIT, End::Reset(Arc::clone(marks)));
            parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            return Ok(Response::from_parts(parts, Body::new(pieces)));
        }
        Wire::Endless | Wire::Reset | Wire::TlsAlert | Wire::CloseLater | Wire::HugeHeaders => {
            Pieces::new([body].into(), Duration::ZERO, End::Never)
        }
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::new(pieces)))
}
