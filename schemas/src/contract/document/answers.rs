//! Answers.

use super::Exchange;
use super::headers::{answered, at_least, header};
use crate::contract::Problem;
use utoipa::ToSchema;
use utoipa::openapi::{ContentBuilder, Ref, Response, ResponseBuilder};

/// What else than 200 may be answered: status, and what it says.
const PROBLEMS: &[(u16, &str)] = &[
    (400, "`bad_request`: the request cannot be read. Class `fix_then_retry`."),
    (
        401,
        "`bad_signature`: no key of the platform fits, or the id of a `GET` is another one. `clock_skew`: it \
         was signed more than 300 s from now. Class `fix_then_retry`.",
    ),
    (403, "`wrong_partner`: the body names another partner. Class `fix_then_retry`."),
    (406, "`version_unsupported`: this `Api-Version` is not spoken. Class `fix_then_retry`."),
    (409, "`in_progress`: the same message is being worked on. Class `retry_same_bytes`."),
    (413, "`too_large`: too many bytes or items. Class `fix_then_retry`."),
    (415, "`bad_request`: packed, and the capabilities do not say `gzip`. Class `fix_then_retry`."),
    (
        422,
        "`revision_conflict`: the bet stands with another stake, player or currency; class `conflict`. \
         `currency_unknown`: the currency is not taken with this exponent; class `fix_then_retry`. Neither \
         is an answer to the stake: a void follows.",
    ),
    (429, "`overloaded`: not now; nothing was done. Class `retry_same_bytes`."),
    (500, "`internal`: nothing is known about what was asked. Class `retry_same_bytes`."),
    (503, "`overloaded`: not now; nothing was done. Class `retry_same_bytes`."),
];
/// Statuses that say when to come again.
const BUSY: [u16; 2] = [429, 503];

/// An answer of this status, with the headers that every answer has.
fn answer(status: u16, description: &str, kind: &str, name: &str, seen: &[Case]) -> Response {
    let examples = seen.iter().filter_map(|(case, seen)| Some((*case, seen.response(status)?)));
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(name)))
        .examples_from_iter(examples)
        .build();
    let response = ResponseBuilder::new().description(description).content(kind, body);
    let headers = answered().into_iter();
    headers.fold(response, |response, (name, header)| response.header(name, header)).build()
}

/// An exchange and the name of its case.
pub(super) type Case = (&'static str, Exchange);

/// The answer that decides.
pub(super) fn done(name: &str, description: &str, seen: &[Case]) -> Response {
    answer(200, description, "application/json", name, seen)
}

/// The problems of these statuses; `retry_after` says what that header of a busy wallet does.
pub(super) fn problems(
    statuses: &[u16],
    retry_after: &str,
    seen: &[Case],
) -> Vec<(String, Response)> {
    let named = PROBLEMS.iter().filter(|(status, _)| statuses.contains(status));
    let problem = named.map(|(status, description)| {
        let kind = "application/problem+json";
        let mut problem = answer(*status, description, kind, &Problem::name(), seen);
        if BUSY.contains(status) {
            let wait = header(at_least(0), retry_after);
            problem.headers.insert("Retry-After".to_owned(), wait);
        }
        (status.to_string(), problem)
    });
    problem.collect()
}
