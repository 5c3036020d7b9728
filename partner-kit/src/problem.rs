//! Whatever is not a 200: `application/problem+json` (RFC 9457) with the contract's extensions.

use crate::journal::JournalStopped;
use crate::register::Refusal;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use schemas::contract::ProblemClass as Class;
use serde::Serialize;
use signing::Refused;

/// Ms after which a busy wallet may be asked again.
const RETRY_AFTER_MS: u64 = 200;

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    code: &'static str,
    class: Class,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, class: Class, title: &'static str) -> Self {
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: None,
            code,
            class,
            retry_after_ms: None,
            message_id: None,
        }
    }

    /// 400: the request cannot be read.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        let title = "The request cannot be read";
        Self::new(StatusCode::BAD_REQUEST, "bad_request", Class::FixThenRetry, title).with(detail)
    }

    /// 401: the message is not the platform's.
    pub(crate) fn bad_signature(refused: &Refused) -> Self {
        let title = "The message is not signed by the platform";
        Self::new(StatusCode::UNAUTHORIZED, "bad_signature", Class::FixThenRetry, title)
            .with(refused.to_string())
    }

    /// 401: the message is too old, or a clock is wrong.
    pub(crate) fn clock_skew() -> Self {
        let title = "The message was not signed just now";
        Self::new(StatusCode::UNAUTHORIZED, "clock_skew", Class::FixThenRetry, title)
            .with(Refused::Stale.to_string())
    }

    /// 403: the request is for another partner.
    pub(crate) fn wrong_partner() -> Self {
        let title = "This wallet serves another partner";
        Self::new(StatusCode::FORBIDDEN, "wrong_partner", Class::FixThenRetry, title)
    }

    /// A fault: any 4xx; nothing was done.
    pub(crate) fn refused(status: u16) -> Self {
        let problem = Self::bad_request("a fault, before the call was applied");
        Self { status, title: "The wallet refuses everything", ..problem }
    }

    /// 404: there is no such path.
    pub(crate) fn not_found() -> Self {
        let title = "There is nothing here";
        Self::new(StatusCode::NOT_FOUND, "not_found", Class::FixThenRetry, title)
    }

    /// 405: the path wants another method.
    pub(crate) fn method() -> Self {
        let title = "The path wants another method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", Class::FixThenRetry, title)
    }

    /// 406: a date of the contract that is not spoken here.
    pub(crate) fn version_unsupported() -> Self {
        let title = "This date of the contract is not spoken here; see the capabilities";
        let status = StatusCode::NOT_ACCEPTABLE;
        Self::new(status, "version_unsupported", Class::FixThenRetry, title)
    }

    /// 413: too many bytes or items.
    pub(crate) fn too_large() -> Self {
        let title = "Too many bytes or items; see the capabilities";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", Class::FixThenRetry, title)
    }

    /// 415: compressed, or not JSON.
    pub(crate) fn encoding() -> Self {
        let title = "Send plain JSON; this wallet unpacks nothing";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "bad_request", Class::FixThenRetry, title)
    }

    /// 500: nothing is known about what was asked.
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        let title = "The wallet failed";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "internal", Class::RetrySameBytes, title).with(detail)
    }

    /// 503: too many requests at once; nothing was done.
    pub(crate) fn overloaded() -> Self {
        let title = "Too many requests at once";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = Self::new(status, "overloaded", Class::RetrySameBytes, title);
        Self { retry_after_ms: Some(RETRY_AFTER_MS), ..problem }
    }

    /// 503 for so long.
    pub(crate) fn maintenance(retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::overloaded() }
    }

    /// 429: too many requests; nothing was done.
    pub(crate) fn too_many(retry_after_ms: Option<u64>) -> Self {
        Self { retry_after_ms, status: 429, ..Self::overloaded() }
    }

    /// 409: the same message is being handled; nothing more is known.
    pub(crate) fn in_progress() -> Self {
        let title = "The message is being handled";
        Self::new(StatusCode::CONFLICT, "in_progress", Class::RetrySameBytes, title)
    }

    /// The same, about this message.
    #[must_use]
    pub(crate) fn about(self, message_id: &str) -> Self {
        Self { message_id: Some(message_id.to_owned()), ..self }
    }

    fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = refusal.code();
        match refusal {
            Refusal::BadRequest(detail) => Self::bad_request(detail),
            Refusal::WrongPartner => Self::wrong_partner(),
            Refusal::CurrencyUnknown => {
                let title = "This currency is not taken with this exponent; see the capabilities";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, Class::FixThenRetry, title)
            }
            Refusal::RevisionConflict => {
                let title = "The bet stands with another stake, player or currency";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, Class::Conflict, title)
            }
        }
    }
}

impl From<JournalStopped> for Problem {
    fn from(stopped: JournalStopped) -> Self {
        Self::internal(stopped.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let kind = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, kind);
        if let Some(ms) = self.retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        response
    }
}
