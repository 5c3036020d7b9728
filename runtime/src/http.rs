//! An HTTP/1.1 client that speaks JSON and never trusts the other side.
//!
//! One deadline covers the whole call, from the connect to the last byte of the answer; an answer is
//! cut off at a stated size while it is read; a redirect is an answer like any other. Connections are
//! pooled per origin. What an answer means is not said here, but for one thing: whether it is signed by whom it
//! should come from ([`Peers`]).
//!
//! What may be called without asking is what those who run the process chose themselves ([`HttpClient::new`]).
//! Where somebody else says what is called, [`Outbound`] says what may be, and brings TLS ([`Peers::client`]).

mod guard;
mod outbound;
mod peers;
mod pools;
#[cfg(test)]
mod tests;
mod timing;
mod wire;

pub use guard::{Forbidden, Guard, Network, NetworkError};
pub use outbound::{AddressError, Outbound, Tls, TlsError, TlsFile, Unusable};
pub use peers::{Message, PeerClient, PeerKeys, Peers};
pub use pools::Pools;

use crate::Millis;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use httpdate::parse_http_date;
use hyper::body::{Body, Incoming};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as StdError;
use std::io;
use std::pin::pin;
use std::time::{Duration, UNIX_EPOCH};
use thiserror::Error;
use tokio::time::timeout;
use tower::BoxError;
use wire::{Connector, Lookup, Refused, Use, system_lookup};

/// Bytes that the head of an answer may have. Of its lines the parser takes 100 at most, and of trailers 16 KiB.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// An answer: whatever the other side said, complete and within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The header `Retry-After` in ms. Where it is a date: the time from the answer's own `Date`, or else from our clock,
    /// which [`Peers::call`] alone has.
    pub retry_after_ms: Option<u64>,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer. None of these says whether the other side did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The deadline passed before the last byte of an answer.
    #[error("no complete answer before the deadline")]
    Timeout,
    /// No connection: nothing was sent.
    #[error("no connection")]
    Connect,
    /// No TLS: nobody whose certificate verifies for the name, or they want another certificate of ours.
    #[error("no TLS with them")]
    Tls,
    /// The address is none that may be called: nothing was sent.
    #[error("the address may not be called")]
    Forbidden,
    /// The connection broke, or what came back is not HTTP within its bounds, or has a content coding, which nobody
    /// asked for.
    #[error("the connection broke before a complete answer")]
    Broken,
    /// The answer is longer than allowed.
    #[error("the answer is too large")]
    TooLarge,
    /// A 200 that does not count as a word of whom it should come from.
    #[error("the answer does not count: {0}")]
    Signature(signing::Refused),
    /// Nobody said where they are: nothing was sent.
    #[error("nobody said where they are")]
    Unknown,
}

/// How a call ended, for counting. A 200 says nothing of what is in it.
pub fn outcome(answer: &Result<HttpAnswer, CallError>) -> &'static str {
    ended(&answer.as_ref().map(|answer| answer.status).map_err(|error| *error))
}

/// The same of a status, or of why there is none.
pub fn ended(status: &Result<u16, CallError>) -> &'static str {
    match status {
        Ok(200) => "answered",
        Ok(429 | 503) => "busy",
        Ok(500..=599) => "server_error",
        Ok(400..=499) => "refused",
        Ok(_) => "no_answer",
        Err(CallError::Timeout) => "timeout",
        Err(CallError::Connect) => "no_connection",
        Err(CallError::Tls) => "tls",
        Err(CallError::Forbidden) => "forbidden",
        Err(CallError::Broken) => "broken",
        Err(CallError::TooLarge) => "too_large",
        Err(CallError::Signature(_)) => "signature",
        Err(CallError::Unknown) => "wallet_unknown",
    }
}

/// Bounds of the connection pool.
#[derive(Clone, Copy, Debug)]
pub struct HttpOptions {
    /// Longest wait for a connection, its handshake included, within the deadline of the call.
    pub connect_wait_max: Duration,
    /// How long an unused connection is kept. Must stay below the other side's own limit, or calls meet
    /// connections that are just being closed.
    pub idle_max: Duration,
    /// Unused connections kept per origin.
    pub idle_connections_max: usize,
}

/// A client with its pool. Cheap to clone; clones share the pool.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
}

impl HttpClient {
    /// A client with an empty pool, for addresses that whoever runs the process chose: any, without TLS. Needs
    /// tokio's runtime only when it is used.
    pub fn new(options: HttpOptions) -> Self {
        Self::with(options, None, system_lookup())
    }

    /// A client with an empty pool, for addresses that others say.
    fn guarded(options: HttpOptions, outbound: Outbound) -> Self {
        Self::with(options, Some(outbound), system_lookup())
    }

    fn with(options: HttpOptions, outbound: Option<Outbound>, lookup: Lookup) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(options.idle_max)
            .pool_max_idle_per_host(options.idle_connections_max)
            // A request that was never written goes to another connection; nothing was sent twice.
            .retry_canceled_requests(true)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(Connector::new(options.connect_wait_max, outbound, lookup));
        Self { client }
    }

    /// Posts `body` as JSON: [`HttpClient::call`].
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn post_json(
        &self,
        url: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        body: Bytes,
        deadline: Duration,
        answer_bytes_max: usize,
    ) -> Result<HttpAnswer, CallError> {
        self.call(Method::POST, url, headers, Some(body), deadline, answer_bytes_max).await
    }

    /// Makes a request, with `body` as JSON if there is one, and reads the whole answer, at most
    /// `answer_bytes_max` bytes of body.
    ///
    /// The same bytes are sent a second time in one case: a pooled connection that had served an earlier
    /// call was closed by the other side before a single byte of an answer. That is the ordinary end of
    /// an idle connection, and the callee is one that takes repeats.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(
        &self,
        method: Method,
        url: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        body: Option<Bytes>,
        deadline: Duration,
        answer_bytes_max: usize,
    ) -> Result<HttpAnswer, CallError> {
        let exchange = self.exchange(method, url, headers, body, deadline, answer_bytes_max);
        exchange.await.map(|(answer, _)| answer).map_err(|failure| failure.error)
    }

    async fn exchange(
        &self,
        method: Method,
        url: &Uri,
        headers: &[(HeaderName, HeaderValue)],
        body: Option<Bytes>,
        deadline: Duration,
        answer_bytes_max: usize,
    ) -> Result<(HttpAnswer, HeaderMap), Failure> {
        let request = || request(&method, url, headers, body.as_ref());
        let call = async {
            let response = match self.send(request()).await {
                Err(error) if closed_while_idle(&error) => self.send(request()).await,
                sent => sent,
            };
            let response = response.map_err(|error| {
                let failure = Failure { error: kind(&error), cause: chain(&error) };
                tracing::debug!(%url, error = failure.cause, "a call got no answer");
                failure
            })?;
            Ok(read(response, answer_bytes_max).await?)
        };
        timeout(deadline, call).await.unwrap_or(Err(CallError::Timeout.into()))
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, legacy::Error> {
        let response = self.client.request(request).await?;
        if let Some(used) = response.extensions().get::<Use>() {
            used.answered();
        }
        Ok(response)
    }
}

/// Why there is no answer, with what lies behind it.
struct Failure {
    error: CallError,
    cause: String,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self { error, cause: error.to_string() }
    }
}

fn request(
    method: &Method,
    url: &Uri,
    headers: &[(HeaderName, HeaderValue)],
    body: Option<&Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::new(body.cloned().map(Full::new).unwrap_or_default());
    *request.method_mut() = method.clone();
    *request.uri_mut() = url.clone();
    let map = request.headers_mut();
    if body.is_some() {
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in headers {
        map.insert(name.clone(), value.clone());
    }
    request
}

fn closed_while_idle(error: &legacy::Error) -> bool {
    let mut extras = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extras);
    }
    extras.get::<Use>().is_some_and(Use::closed_while_idle)
}

async fn read(
    response: Response<Incoming>,
    bytes_max: usize,
) -> Result<(HttpAnswer, HeaderMap), CallError> {
    let (head, body) = response.into_parts();
    let codings = head.headers.get_all(CONTENT_ENCODING).iter();
    if !codings.map(HeaderValue::as_bytes).all(|coding| coding.eq_ignore_ascii_case(b"identity")) {
        return Err(CallError::Broken);
    }
    let (status, retry_after_ms) = (head.status.as_u16(), retry_after_ms(&head.headers, None));
    let body = gather(body, bytes_max).await.map_err(|error| match error {
        BodyError::TooLarge => CallError::TooLarge,
        BodyError::Broken => CallError::Broken,
    })?;
    Ok((HttpAnswer { status, retry_after_ms, body }, head.headers))
}

/// Why a body was not gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It has more bytes than it may.
    TooLarge,
    /// It ended before its end.
    Broken,
}

/// The whole of a body of at most `bytes_max` bytes. Its pieces are copied: each keeps all of the memory that it was
/// read into, and one that comes byte by byte would hold thousands of times its size.
///
/// # Errors
/// [`BodyError`].
pub async fn gather<B>(body: B, bytes_max: usize) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (mut body, mut gathered) = (pin!(Limited::new(body, bytes_max)), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() { BodyError::TooLarge } else { BodyError::Broken }
        })?;
        if let Ok(data) = frame.into_data() {
            gathered.extend_from_slice(&data);
        }
    }
    Ok(gathered.freeze())
}

/// How long `Retry-After` asks for, in ms: seconds, or a date. A date is one of the other side's clock, and so compared
/// with what that says of the answer; only where it does not say it, with ours.
fn retry_after_ms(headers: &HeaderMap, now: Option<Millis>) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1_000));
    }
    let at = parse_http_date(text).ok()?;
    let said = headers.get(DATE).and_then(|date| parse_http_date(date.to_str().ok()?).ok());
    let ours = || {
        let since = Duration::from_millis(u64::try_from(now?).ok()?);
        UNIX_EPOCH.checked_add(since)
    };
    let wait = at.duration_since(said.or_else(ours)?).unwrap_or_default();
    u64::try_from(wait.as_millis()).ok()
}

/// What kind of failure lies behind an error: refusals of the connector keep their type, and what TLS says after the
/// handshake (that it wants our certificate) is inside an IO error.
fn kind(error: &legacy::Error) -> CallError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref() {
            Some(Refused::Forbidden(_)) => return CallError::Forbidden,
            Some(Refused::Handshake(_) | Refused::NoTls) => return CallError::Tls,
            None => {}
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inside.is_some_and(|inside| inside.is::<rustls::Error>()) {
            return CallError::Tls;
        }
        cause = error.source();
    }
    if error.is_connect() { CallError::Connect } else { CallError::Broken }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
