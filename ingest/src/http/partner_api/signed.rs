//! The credential of a partner, around everything else: a request counts if the partner that it names signed
//! it, for itself and for this path, and every answer to it is signed by us under the id of the request.
//!
//! The header only says whose keys are tried. What is refused is refused in the same words, and after a signature
//! was checked, whether the partner exists or not; and such an answer is not signed: nobody gets our signature
//! without having shown a key first. The id of a request is a hash over partner and path, so what we sign under it can
//! be no message to another partner.

use crate::http::body::bytes;
use crate::http::{ApiState, method_not_allowed};
use crate::problem::{Kind, Problem};
use axum::body::{Body, HttpBody};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, VARY};
use http::request::Parts;
use http::{HeaderMap, Method};
use runtime::Engine;
use runtime::http::{PeerKeys, gather};
use schemas::PartnerId;
use schemas::contract::{ANSWER_BYTES_MAX, API_VERSION, get_id, post_id};
use signing::{Refused, SecretKey, VerifyingKey, sign, verify};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// The one path that takes a `POST`.
pub(super) const REPLAY_PATH: &str = "/partner/v1/replay";
/// Header: who asks.
const PARTNER: HeaderName = HeaderName::from_static("partner-id");
/// Header: the date of the contract.
const VERSION: HeaderName = HeaderName::from_static("api-version");
/// Requests of one partner answered at once by a process: each may read some thousand stories, and no partner
/// may slow another.
const AT_ONCE_MAX: usize = 4;
/// Those of all partners: bets are taken beside them.
const ALL_AT_ONCE_MAX: usize = 16;
/// Longest wait for one of them to end.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(2);

/// The partner that signed the request.
#[derive(Clone, Debug)]
pub(super) struct PartnerCaller(pub(super) PartnerId);

/// The id of the request, which the partner signed.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PartnerCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(invalid)
    }
}

/// What the layer needs.
#[derive(Clone)]
pub(super) struct Gate<E> {
    api: ApiState<E>,
    /// Tried for partners that do not exist. What fits it counts for nothing.
    decoy: Arc<[VerifyingKey]>,
    busy: Busy,
}

/// Who is being answered. Only partners that showed a key are remembered.
#[derive(Clone, Debug)]
struct Busy {
    all: Arc<Semaphore>,
    of: Arc<Mutex<BTreeMap<PartnerId, Arc<Semaphore>>>>,
}

/// The right to be answered, until it is dropped.
#[derive(Debug)]
struct Turn {
    _of: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

struct Caller {
    partner: PartnerId,
    keys: PeerKeys,
    id: String,
}

impl<E: Engine> Gate<E> {
    pub(super) fn new(api: ApiState<E>) -> Self {
        let decoy = Arc::new([SecretKey::of_seed(&[0; 32]).verifying()]);
        Self { api, decoy, busy: Busy::new() }
    }

    fn now_s(&self) -> i64 {
        (self.api.now)().div_euclid(1_000)
    }

    /// Who signed the request.
    fn caller(&self, parts: &Parts, body: &[u8]) -> Result<Caller, Problem> {
        let named = named(&parts.headers);
        let keys = named.as_ref().and_then(|partner| self.api.partners.keys_of(partner));
        let tried = keys.as_ref().map_or(&self.decoy[..], |keys| &keys.theirs);
        let id = match verify(tried, &parts.headers, self.now_s(), body) {
            Ok(id) => id.to_owned(),
            Err(Refused::Stale) => {
                let detail = "the request was signed more than 300 s before or after our time";
                return Err(Problem::new(Kind::CLOCK_SKEW, detail));
            }
            Err(_) => return Err(invalid()),
        };
        let (Some(partner), Some(keys)) = (named, keys) else { return Err(invalid()) };
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        let right = match parts.method {
            Method::POST => post_id(&partner, path, body),
            _ => get_id(&partner, path),
        };
        if id != right {
            return Err(invalid());
        }
        Ok(Caller { partner, keys, id })
    }
}

impl<E> Gate<E> {
    /// What a partner that showed a key is answered.
    async fn pass(
        &self,
        partner: &PartnerId,
        request: Request,
        next: Next,
    ) -> Result<Response, Problem> {
        spoken(request.headers())?;
        let _turn = self.busy.turn(partner).await?;
        Ok(next.run(request).await)
    }
}

impl Busy {
    fn new() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL_AT_ONCE_MAX)), of: Arc::default() }
    }

    /// The right to be answered, at once or soon.
    async fn turn(&self, partner: &PartnerId) -> Result<Turn, Problem> {
        let place = {
            let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
            let of = of.entry(partner.clone());
            of.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_MAX))).clone()
        };
        let detail = format!("at most {AT_ONCE_MAX} requests of a partner are answered at once");
        let of = place.try_acquire_owned().map_err(|_| Problem::new(Kind::OVERLOADED, detail))?;
        let all = timeout(PLACE_WAIT_MAX, Arc::clone(&self.all).acquire_owned()).await;
        let all = all.ok().and_then(Result::ok).ok_or_else(|| {
            Problem::new(Kind::OVERLOADED, "too many requests of partners are being answered")
        })?;
        Ok(Turn { _of: of, _all: all })
    }
}

/// Lets pass what a partner signed, and signs the answer. No cache may keep any: paths are the same for all
/// partners.
pub(super) async fn signed<E: Engine>(
    State(gate): State<Gate<E>>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = answer(gate, request, next).await.unwrap_or_else(Problem::into_response);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(VARY, HeaderValue::from_static("partner-id"));
    answer.headers_mut().insert(VERSION, HeaderValue::from_static(API_VERSION));
    answer
}

async fn answer<E: Engine>(
    gate: Gate<E>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let asks = parts.uri.path() == REPLAY_PATH;
    if parts.method != if asks { Method::POST } else { Method::GET } {
        return Ok(method_not_allowed(parts.method, parts.uri).await.into_response());
    }
    // A GET with a body could be a reply sent back: those stand under the same ids.
    if !asks && !body.is_end_stream() {
        return Err(invalid());
    }
    let body = bytes(&parts, body).await?;
    let caller = gate.caller(&parts, &body)?;
    parts.extensions.insert(PartnerCaller(caller.partner.clone()));
    parts.extensions.insert(RequestId(caller.id.clone()));
    let request = Request::from_parts(parts, Body::from(body));
    let answer = gate.pass(&caller.partner, request, next).await;
    let answer = answer.unwrap_or_else(Problem::into_response);
    let (mut parts, body) = answer.into_parts();
    let unread = |_| Problem::new(Kind::UNAVAILABLE, "the answer could not be read");
    let body = gather(body, ANSWER_BYTES_MAX).await.map_err(unread)?;
    if let Some(headers) = sign(&caller.keys.ours, &caller.id, gate.now_s(), &body) {
        parts.headers.extend(HeaderMap::from_iter(headers));
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Refuses another date of the contract; who names none speaks the first.
fn spoken(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(VERSION).iter().all(|date| date == API_VERSION) {
        return Ok(());
    }
    let detail = format!("this `Api-Version` is not spoken here; {API_VERSION} is");
    Err(Problem::new(Kind::VERSION_UNSUPPORTED, detail))
}

/// The partner that the headers name, once.
fn named(headers: &HeaderMap) -> Option<PartnerId> {
    let mut values = headers.get_all(PARTNER).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()?.parse().ok()
}

fn invalid() -> Problem {
    let detail = "no key of the partner named in `partner-id` fits, or the id of the request is not \
                  the one for this partner and this path";
    Problem::new(Kind::SIGNATURE_INVALID, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_partner_that_asks_for_much_holds_up_no_other() {
        let busy = Busy::new();
        let ask = async |name: &str| busy.turn(&name.parse().unwrap()).await;
        let mut turns = Vec::new();
        for _ in 0..AT_ONCE_MAX {
            turns.push(ask("acme").await.unwrap());
        }
        assert_eq!(ask("acme").await.unwrap_err().kind(), Kind::OVERLOADED);
        assert!(ask("other").await.is_ok());
        turns.pop();
        assert!(ask("acme").await.is_ok());
        for number in turns.len()..ALL_AT_ONCE_MAX {
            turns.push(ask(&format!("p{number}")).await.unwrap());
        }
        assert_eq!(ask("other").await.unwrap_err().kind(), Kind::OVERLOADED, "all together");
        turns.pop();
        assert!(ask("other").await.is_ok());
    }
}
