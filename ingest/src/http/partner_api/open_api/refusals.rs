//! What each call may be refused with: every status, and every code that comes with it.

use super::Problem;
use crate::problem::Kind;
use http::StatusCode;
use schemas::contract::document::headers::{answered, at_least, header, spoken};
use serde_json::json;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder};
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

/// What every call may be refused with.
const EVERY: &[Kind] = &[
    Kind::SIGNATURE_INVALID,
    Kind::CLOCK_SKEW,
    Kind::NOT_SERVED_HERE,
    Kind::VERSION_UNSUPPORTED,
    Kind::OVERLOADED,
    Kind::STORAGE_UNAVAILABLE,
    Kind::UNAVAILABLE,
];

/// What else each may be refused with, by operation.
const FURTHER: &[(&str, &[Kind])] = &[
    ("bet", &[Kind::BET_UNKNOWN]),
    ("events", &[Kind::INVALID_QUERY, Kind::CURSOR_EXPIRED]),
    ("round_statement", &[Kind::INVALID_QUERY, Kind::ROUND_UNKNOWN]),
    ("day_statement", &[Kind::INVALID_QUERY]),
    (
        "replay",
        &[
            Kind::MALFORMED_JSON,
            Kind::INVALID_QUERY,
            Kind::BET_UNKNOWN,
            Kind::ROUND_UNKNOWN,
            Kind::BODY_TIMEOUT,
            Kind::BODY_TOO_LARGE,
            Kind::UNSUPPORTED_MEDIA_TYPE,
            Kind::INVALID_FIELD,
        ],
    ),
];

/// Statuses that are said before a key was shown, and so are not signed.
const UNSIGNED: [StatusCode; 3] =
    [StatusCode::UNAUTHORIZED, StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE];

/// What an operation may be refused with, by status.
pub(super) fn of(operation: &str) -> Vec<(String, Response)> {
    let further = FURTHER.iter().filter(|(of, _)| *of == operation).flat_map(|(_, kinds)| *kinds);
    let mut by_status: BTreeMap<StatusCode, Vec<Kind>> = BTreeMap::new();
    for kind in further.chain(EVERY) {
        by_status.entry(kind.status).or_default().push(*kind);
    }
    let refusal = |(status, kinds): (StatusCode, Vec<Kind>)| {
        (status.as_str().to_owned(), refusal(status, &kinds))
    };
    by_status.into_iter().map(refusal).collect()
}

fn refusal(status: StatusCode, kinds: &[Kind]) -> Response {
    let is_retryable = kinds.iter().all(|kind| kind.retryable);
    let told = kinds.iter().map(|kind| format!("`{}`: {}.", kind.code, kind.title));
    let class = if is_retryable {
        "Send it again after `Retry-After`, signed anew."
    } else {
        "Mend it before it is sent again."
    };
    let told = told.chain([format!("`retryable: {is_retryable}`. {class}")]);
    let words = |words: Vec<serde_json::Value>| ObjectBuilder::new().enum_values(Some(words));
    let exactly = ObjectBuilder::new()
        .property("status", words(vec![json!(status.as_u16())]))
        .property("code", words(kinds.iter().map(|kind| json!(kind.code)).collect()))
        .property("retryable", words(vec![json!(is_retryable)]));
    let problem =
        AllOfBuilder::new().item(Ref::from_schema_name(Problem::name())).item(exactly.build());
    let body = ContentBuilder::new().schema(Some(problem)).build();
    let mut response = ResponseBuilder::new()
        .description(told.collect::<Vec<_>>().join(" "))
        .content("application/problem+json", body)
        .build();
    let headers = if UNSIGNED.contains(&status) { vec![spoken()] } else { answered().to_vec() };
    response.headers.extend(headers.into_iter().map(|(name, header)| (name.to_owned(), header)));
    if is_retryable {
        let wait = header(at_least(1), "Seconds to wait.");
        response.headers.insert("Retry-After".to_owned(), wait);
    }
    response
}
