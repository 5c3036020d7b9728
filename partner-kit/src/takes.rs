//! What the wallet takes of a state call, as its capabilities say it.

use crate::problem::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use schemas::contract::{CapabilitiesResponse, STATE_BYTES_MAX, STATE_ITEMS_MAX, STATE_PATH};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a state call may be; what is more is refused with 413.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// Items that it may carry.
    pub items_max: usize,
    /// Bytes that its body may have, unpacked.
    pub bytes_max: usize,
    /// Whether its body may be packed (gzip).
    pub gzip: bool,
}

impl Takes {
    /// As much as the contract has, not packed.
    pub const ALL: Self =
        Self { items_max: STATE_ITEMS_MAX, bytes_max: STATE_BYTES_MAX, gzip: false };

    /// The same, in the words of the contract.
    pub(crate) fn said(self, of: CapabilitiesResponse) -> CapabilitiesResponse {
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (items_max, bytes_max) = (number(self.items_max), number(self.bytes_max));
        CapabilitiesResponse { items_max, bytes_max, gzip: self.gzip, ..of }
    }
}

/// What state calls were, also those that were refused.
#[derive(Debug, Default)]
pub(crate) struct Came {
    items_most: AtomicUsize,
    bytes_most: AtomicUsize,
    packed: AtomicUsize,
}

impl Came {
    pub(crate) fn of_items(&self, items: usize) {
        self.items_most.fetch_max(items, Ordering::Relaxed);
    }

    /// The most items, the most bytes before they were packed, and how many calls were.
    pub(crate) fn most(&self) -> (usize, usize, usize) {
        let [items, bytes, packed] = [&self.items_most, &self.bytes_most, &self.packed]
            .map(|number| number.load(Ordering::Relaxed));
        (items, bytes, packed)
    }
}

/// Takes a state call that is no larger than it may be, and unpacks it. What signed it was verified before.
pub(crate) async fn within(
    State((takes, came)): State<(Takes, Arc<Came>)>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() != STATE_PATH {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(mut body) = to_bytes(body, STATE_BYTES_MAX).await else {
        return Problem::too_large().into_response();
    };
    let is_packed = parts.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    came.packed.fetch_add(usize::from(is_packed), Ordering::Relaxed);
    if is_packed && takes.gzip {
        parts.headers.remove(CONTENT_ENCODING);
        parts.headers.remove(CONTENT_LENGTH);
        body = match unpack(&body, takes.bytes_max) {
            Ok(unpacked) => unpacked,
            Err(error) => return Problem::bad_request(error.to_string()).into_response(),
        };
    }
    came.bytes_most.fetch_max(body.len(), Ordering::Relaxed);
    if takes.bytes_max < body.len() {
        return Problem::too_large().into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// At most one byte more than may be, however much it would be.
fn unpack(packed: &[u8], bytes_max: usize) -> std::io::Result<Bytes> {
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    GzDecoder::new(packed).take(most).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}
