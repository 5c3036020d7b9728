//! The rounds API, as a feed calls it.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Uri};
use runtime::http::{HttpAnswer, HttpClient, HttpOptions};
use schemas::RoundId;
use schemas::contract::parse_timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use thiserror::Error;

/// Longest wait for an answer: the API holds a void for half a minute until its round is sealed.
const CALL_WAIT_MAX: Duration = Duration::from_secs(40);
/// The longest answer that is read, in bytes: a round with its whole history is far below.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How connections to the API, and to a relay's source, are kept.
pub(crate) const HTTP: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(3),
    idle_max: Duration::from_secs(4),
    idle_connections_max: 16,
};

/// Whether this is a URL that the client can call: TLS comes with signatures.
pub(crate) fn is_http(url: &str) -> bool {
    url.parse().is_ok_and(|url: Uri| url.scheme_str() == Some("http") && url.authority().is_some())
}

/// Why a client cannot be made.
#[derive(Debug, Error)]
pub enum ApiError {
    /// No base of URLs.
    #[error("`{0}` is not the base of an API, such as http://127.0.0.1:8080")]
    Base(String),
    /// A key that cannot stand in a header.
    #[error("the operator's key has characters that no key has")]
    Key,
}

/// What became of something that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// The herald admitted it, now or before.
    Admitted,
    /// Not now: the same call may be made again.
    Again {
        /// The problem's code, or what was amiss.
        why: String,
        /// When, in ms from now; `None` if nothing was said of that.
        after_ms: Option<u64>,
    },
    /// Never: repeating it changes nothing.
    Refused {
        /// The problem's code, or the status.
        code: String,
        /// What the API says of it.
        detail: String,
    },
}

/// What a feed wants to know of a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSeen {
    /// `betting`, `closing`, `closed`, `sealed`, `resulted` or `voided`.
    pub status: String,
    /// The result version; 0 for none.
    pub version: u32,
    /// The outcome of the game, if one stands.
    pub outcome: Option<String>,
    /// When the herald said `sealed`, ms since the Unix epoch, UTC.
    pub sealed_at: Option<i64>,
}

/// A client of the API. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct RoundsApi {
    http: HttpClient,
    base: String,
    authorization: HeaderValue,
}

impl RoundsApi {
    /// A client of the API at `base` with an operator's key.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn new(base: &str, key: &str) -> Result<Self, ApiError> {
        let base = base.trim_end_matches('/');
        if !is_http(base) {
            return Err(ApiError::Base(base.to_owned()));
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {key}")).map_err(|_| ApiError::Key)?;
        authorization.set_sensitive(true);
        Ok(Self { http: HttpClient::new(HTTP), base: base.to_owned(), authorization })
    }

    /// Says something about a round: one call, which may be repeated.
    pub async fn say(&self, method: Method, path: &str, body: &Value) -> Said {
        let bytes = Bytes::from(body.to_string());
        match self.call(method, path, Some(bytes)).await {
            Ok(answer) => judge(&answer),
            Err(why) => Said::Again { why, after_ms: None },
        }
    }

    /// What the API answers to one call, for people.
    ///
    /// # Errors
    /// In words, if it refuses or does not answer.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        let bytes = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.call(method, path, bytes).await?;
        if (200..300).contains(&answer.status) {
            let read = serde_json::from_slice(&answer.body);
            return read.map_err(|error| format!("the answer is not JSON: {error}"));
        }
        Err(match problem(&answer.body) {
            Some(Problem { code, detail, .. }) => format!("{code}: {detail}"),
            None => format!("{} without a problem's code", answer.status),
        })
    }

    /// The round as the API shows it; `None` if it was never opened.
    ///
    /// # Errors
    /// In words, if the API does not say.
    pub async fn round(&self, round: &RoundId) -> Result<Option<RoundSeen>, String> {
        let answer = self.call(Method::GET, &format!("/v1/rounds/{round}"), None).await?;
        match answer.status {
            200 => seen(&answer.body).map(Some),
            404 if problem(&answer.body).is_some_and(|it| it.code == "round_unknown") => Ok(None),
            status => Err(match problem(&answer.body) {
                Some(problem) => format!("{status} {}", problem.code),
                None => format!("{status} without a problem's code"),
            }),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<HttpAnswer, String> {
        let url: Uri = format!("{}{path}", self.base).parse().map_err(|_| path.to_owned())?;
        let headers: [(HeaderName, HeaderValue); 1] = [(AUTHORIZATION, self.authorization.clone())];
        let called = self.http.call(method, &url, &headers, body, CALL_WAIT_MAX, ANSWER_BYTES_MAX);
        called.await.map_err(|error| error.to_string())
    }
}

/// The API's problem, by which clients go: never by words.
#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    retryable: bool,
    #[serde(default)]
    detail: String,
}

fn problem(body: &[u8]) -> Option<Problem> {
    serde_json::from_slice(body).ok()
}

/// What an answer to something said means. A proxy's page is no answer of the API.
fn judge(answer: &HttpAnswer) -> Said {
    if (200..300).contains(&answer.status) {
        return Said::Admitted;
    }
    match problem(&answer.body) {
        Some(Problem { code, retryable: false, detail }) => Said::Refused { code, detail },
        Some(Problem { code: why, .. }) => Said::Again { why, after_ms: answer.retry_after_ms },
        None => Said::Again {
            why: format!("{} without a problem's code", answer.status),
            after_ms: answer.retry_after_ms,
        },
    }
}

/// `GET /v1/rounds/{id}`, as far as a feed reads it.
#[derive(Debug, Deserialize)]
struct RoundBody {
    status: String,
    version: u32,
    result: Option<ResultBody>,
    #[serde(default)]
    history: Vec<LineBody>,
}

#[derive(Debug, Deserialize)]
struct ResultBody {
    outcome: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LineBody {
    at: String,
    said: String,
    refused: Option<String>,
}

fn seen(body: &[u8]) -> Result<RoundSeen, String> {
    let round: RoundBody =
        serde_json::from_slice(body).map_err(|error| format!("not a round: {error}"))?;
    let sealed = round.history.iter().find(|it| it.said == "sealed" && it.refused.is_none());
    Ok(RoundSeen {
        sealed_at: sealed.and_then(|line| parse_timestamp(&line.at)),
        status: round.status,
        version: round.version,
        outcome: round.result.and_then(|result| result.outcome),
    })
}
