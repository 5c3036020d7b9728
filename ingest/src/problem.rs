//! What the API says when it says no: `application/problem+json` (RFC 9457) with stable codes.
//!
//! Every code is a page in `docs/errors/`. Clients go by `code`, `retryable` and `final`, never by words.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use std::fmt;

/// Seconds after which a refused request that may succeed later should be sent again.
const RETRY_AFTER_S: &str = "1";

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The stable code, and the name of the page in `docs/errors/`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// One line for people.
    pub title: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

macro_rules! kinds {
    ($($name:ident = $code:literal, $status:literal, $title:literal, $retryable:literal;)+) => {
        impl Kind {
            $(
                #[doc = concat!($title, ".")]
                pub const $name: Self = Self {
                    code: $code,
                    status: match StatusCode::from_u16($status) {
                        Ok(status) => status,
                        Err(_) => panic!("not a status"),
                    },
                    title: $title,
                    retryable: $retryable,
                };
            )+

            /// Every kind that an API user can meet.
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

kinds! {
    CREDENTIAL_MISSING = "credential_missing", 401, "A credential is needed", false;
    OPERATOR_UNKNOWN = "operator_unknown", 401, "The operator's key is not known", false;
    TOKEN_INVALID = "token_invalid", 401, "The player's token is not valid", false;
    TOKEN_EXPIRED = "token_expired", 401, "The player's token has expired", false;
    SIGNATURE_INVALID = "signature_invalid", 401, "The request is not signed by the partner", false;
    CLOCK_SKEW = "clock_skew", 401, "The request was not signed just now", false;
    NOT_FOUND = "not_found", 404, "There is nothing at this address", false;
    NOT_SERVED_HERE = "not_served_here", 404, "Another process answers this", false;
    VERSION_UNSUPPORTED = "version_unsupported", 406, "The date of the contract is not spoken", false;
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The address does not take this method", false;
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415, "The body must be JSON", false;
    BODY_TOO_LARGE = "body_too_large", 413, "The body is too large", false;
    BODY_TIMEOUT = "body_timeout", 408, "The body did not come in time", true;
    MALFORMED_JSON = "malformed_json", 400, "The body is not JSON", false;
    INVALID_FIELD = "invalid_field", 422, "A field is not acceptable", false;
    INVALID_QUERY = "invalid_query", 400, "The query is not acceptable", false;
    CURSOR_EXPIRED = "cursor_expired", 410, "What stood at the cursor is not kept any more", false;
    ROUND_UNKNOWN = "round_unknown", 404, "The round is not known", false;
    EVENT_UNKNOWN = "event_unknown", 404, "The event is not known", false;
    ROUND_EXISTS = "round_exists", 409, "The round exists already", false;
    PARTNER_EXISTS = "partner_exists", 409, "The partner exists already", false;
    REQUEST_REUSED = "request_reused", 409, "The request id stands for another request", false;
    NOT_BETTING = "not_betting", 409, "The round does not take bets", false;
    NOT_CLOSING = "not_closing", 409, "The round is not closing", false;
    NOT_CLOSED = "not_closed", 409, "The round is not closed", false;
    NOT_SEALED = "not_sealed", 409, "The round is not sealed yet", true;
    VERSION_CONFLICT = "version_conflict", 409, "Another result version stands", false;
    ROLE_MISSING = "role_missing", 403, "The operator may not do this", false;
    SAME_OPERATOR = "same_operator", 403, "Another operator must approve", false;
    PROPOSAL_UNKNOWN = "proposal_unknown", 404, "There is no such proposal", false;
    PROPOSAL_DIFFERS = "proposal_differs", 409, "The proposal says something else", false;
    PROPOSAL_STALE = "proposal_stale", 409, "What would happen has changed", false;
    PROPOSAL_CLOSED = "proposal_closed", 409, "The proposal is not open", false;
    PREVIEW_UNAVAILABLE = "preview_unavailable", 503, "What would happen cannot be told yet", true;
    TOO_LATE = "too_late", 409, "The round can no longer be corrected", false;
    NOTHING_TO_WITHDRAW = "nothing_to_withdraw", 409, "There is no result to withdraw", false;
    TOO_MANY_VERSIONS = "too_many_versions", 409, "The round has too many result versions", false;
    NOT_JUDGED = "not_judged", 422, "This is not for a caller to say", false;
    SELECTION_UNKNOWN = "selection_unknown", 422, "The round has no such selection", false;
    UNKNOWN_RULES = "unknown_rules", 503, "The rules version is not known", true;
    UNKNOWN_GAME = "unknown_game", 422, "There is no such game", false;
    NO_SELECTIONS = "no_selections", 422, "The round offers nothing", false;
    TOO_MANY_SELECTIONS = "too_many_selections", 422, "The round offers too many selections", false;
    REPEATED_SELECTION = "repeated_selection", 422, "A selection is named twice", false;
    FOREIGN_SELECTION = "foreign_selection", 422, "The game has no such selection", false;
    NOT_OFFERED = "not_offered", 422, "The round does not offer the selection", false;
    GRACE_OUT_OF_RANGE = "grace_out_of_range", 422, "The grace is out of range", false;
    DEADLINE_OUT_OF_RANGE = "deadline_out_of_range", 422, "The deadline is out of range", false;
    UNKNOWN_OUTCOME = "unknown_outcome", 422, "The game has no such outcome", false;
    WINNERS_UNNAMED = "winners_unnamed", 422, "The game needs its winners by name", false;
    WON_AND_VOID = "won_and_void", 422, "A selection is both won and void", false;
    REFUSED = "refused", 422, "The herald refused it", false;
    UNDECIDED = "undecided", 503, "There is no verdict yet", true;
    STARTING = "starting", 503, "The instance is still starting", true;
    UNAVAILABLE = "unavailable", 503, "A part of the instance is not there", true;
    OVERLOADED = "overloaded", 503, "Too much is in flight", true;
    STORAGE_FULL = "storage_full", 503, "There is no room left", true;
    STORAGE_UNAVAILABLE = "storage_unavailable", 503, "The log did not acknowledge", true;
    UNENCODABLE = "unencodable", 422, "The request cannot be written down", false;
    BET_REJECTED = "bet_rejected", 422, "The bet was rejected", false;
    REFERENCE_REUSED = "reference_reused", 409, "The reference stands for another bet", false;
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", 409, "The key stands for another bet", false;
    CANCEL_REFUSED = "cancel_refused", 409, "The bet cannot be cancelled", false;
    BET_PENDING = "bet_pending", 409, "The bet has no decision yet", true;
    BET_UNKNOWN = "bet_unknown", 404, "There is no such bet", false;
    PARTNER_UNKNOWN = "partner_unknown", 403, "The partner takes no bets here", false;
    BETTING_PAUSED = "betting_paused", 503, "Betting is paused", true;
    CURRENCY_UNKNOWN = "currency_unknown", 422, "The partner takes no such currency", false;
    CURRENCY_MISMATCH = "currency_mismatch", 422, "The token is for another currency", false;
    DEADLINE_PASSED = "deadline_passed", 409, "The deadline has passed", false;
    ODDS_CHANGED = "odds_changed", 409, "The odds have changed", false;
    STAKE_LIMIT = "stake_limit", 422, "The stake is outside the limits", false;
    PAYOUT_LIMIT = "payout_limit", 422, "The payout is above the limit", false;
    LIABILITY_LIMIT = "liability_limit", 409, "The round takes no more stakes", false;
    CLOCK_OFFSET = "clock_offset", 503, "The instance's clock is off", true;
}

impl Kind {
    /// The kind with this code.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code == code)
    }
}

/// An answer that refuses. Boxed: it travels as the error of most of the API's functions.
#[derive(Clone, Debug)]
pub struct Problem(Box<Refused>);

#[derive(Clone, Debug)]
struct Refused {
    kind: Kind,
    status: StatusCode,
    detail: String,
    request_id: Option<String>,
    last: Option<bool>,
    bet: Option<serde_json::Value>,
    preview: Option<serde_json::Value>,
}

/// The body. `status` is the HTTP status, as the RFC has it; a bet's own status stands in `bet`.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    last: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bet: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<&'a serde_json::Value>,
}

impl Problem {
    /// A problem; `detail` says what happened here and, where it helps, what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (status, detail) = (kind.status, detail.into());
        let (request_id, last, bet, preview) = (None, None, None, None);
        Self(Box::new(Refused { kind, status, detail, request_id, last, bet, preview }))
    }

    /// Names the request.
    pub fn request(mut self, request_id: impl fmt::Display) -> Self {
        self.0.request_id = Some(request_id.to_string());
        self
    }

    /// Says whether this is the last word about a bet (R13).
    pub fn is_final(mut self, last: bool) -> Self {
        self.0.last = Some(last);
        self
    }

    /// Carries the bet.
    pub fn bet(mut self, bet: serde_json::Value) -> Self {
        self.0.bet = Some(bet);
        self
    }

    /// Carries what a correction would change now.
    pub fn preview(mut self, preview: serde_json::Value) -> Self {
        self.0.preview = Some(preview);
        self
    }

    /// Answers with another status than the kind's.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let refused = *self.0;
        let body = Body {
            kind: format!("/errors/{}", refused.kind.code),
            title: refused.kind.title,
            status: refused.status.as_u16(),
            detail: &refused.detail,
            code: refused.kind.code,
            retryable: refused.kind.retryable,
            request_id: refused.request_id.as_deref(),
            last: refused.last,
            bet: refused.bet.as_ref(),
            preview: refused.preview.as_ref(),
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers: Vec<(HeaderName, HeaderValue)> =
            vec![(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        if refused.kind.retryable {
            headers.push((RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S)));
        }
        if refused.status == StatusCode::UNAUTHORIZED {
            let signed = [Kind::SIGNATURE_INVALID, Kind::CLOCK_SKEW].contains(&refused.kind);
            let scheme = if signed { "Standard-Webhooks" } else { "Bearer" };
            headers.push((WWW_AUTHENTICATE, HeaderValue::from_static(scheme)));
        }
        let mut response = (refused.status, body).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placing::NotTaken;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_has_its_page() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        for kind in Kind::ALL {
            let page = pages.join(format!("{}.md", kind.code));
            let text = std::fs::read_to_string(&page).unwrap_or_default();
            let heading = format!("# {}\n\nHTTP {}.", kind.code, kind.status.as_u16());
            assert!(text.starts_with(&heading), "{} must begin with {heading:?}", page.display());
            let told = format!("`retryable: {}`", kind.retryable);
            assert!(text.contains(&told), "{} must say {told}", page.display());
            assert!(text.contains("**What to do.**"), "{}", page.display());
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), Kind::ALL.len());
    }

    #[test]
    fn every_refusal_of_bet_placing_has_a_kind() {
        for refusal in NotTaken::ALL {
            assert!(Kind::of(refusal.code()).is_some(), "{}", refusal.code());
        }
    }

    #[test]
    fn every_refusal_of_the_herald_has_a_kind() {
        let fold = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/herald/fold.rs");
        let source = std::fs::read_to_string(fold).unwrap();
        let codes: BTreeSet<&str> = ["Err(\"", "ok_or(\""]
            .iter()
            .flat_map(|before| source.split(before).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(codes.contains("not_sealed") && codes.contains("version_conflict"), "{codes:?}");
        for code in codes {
            assert!(Kind::of(code).is_some(), "{code}");
        }
    }
}
