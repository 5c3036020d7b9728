//! What a refusal leaves unread of its request's body.
//!
//! A connection that is closed over it is reset, and a client that writes all before it reads never learns
//! why. So the rest is read and thrown away, within bounds, and the answer follows.

use axum::body::Body;
use axum::response::Response;
use axum::{Router, extract::Request};
use http::StatusCode;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tower::ServiceExt;

/// Bytes thrown away, and the time for it. Whoever sends more, or more slowly, is cut off.
const BYTES_MAX: usize = 4 << 20;
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Lets `router` answer, and reads what it has left of the body.
pub(super) async fn answer(
    router: Router,
    request: hyper::Request<Incoming>,
) -> Result<Response, Infallible> {
    // Such a client sends its body when it is asked for it, and is not.
    let waits = request.headers().contains_key(EXPECT);
    let (unread, mut left) = oneshot::channel();
    let watched = |body| Watched { body: Some(body), unread: Some(unread) };
    let request: Request = request.map(|body| Body::new(watched(body)));
    let response = router.oneshot(request).await?;
    // Who was too slow for the body is not waited for again.
    if !waits
        && response.status() != StatusCode::REQUEST_TIMEOUT
        && let Ok(body) = left.try_recv()
    {
        drop(tokio::time::timeout(WAIT_MAX, throw_away(body)).await);
    }
    Ok(response)
}

async fn throw_away(mut body: Incoming) {
    let mut bytes = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        bytes = bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if BYTES_MAX < bytes {
            return;
        }
    }
}

/// A body that is handed back when it is dropped before its end.
struct Watched {
    /// There until it is dropped.
    body: Option<Incoming>,
    unread: Option<oneshot::Sender<Incoming>>,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !hyper::body::Body::is_end_stream(body));
        if let (Some(body), Some(unread)) = (left, self.unread.take()) {
            // Nobody waits for it any more when the connection is gone.
            drop(unread.send(body));
        }
    }
}
