//! Answers, and the headers both ways.

use super::examples::Exchange;
use crate::contract::{API_VERSION, Problem};
use utoipa::ToSchema;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, Response, ResponseBuilder};

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

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";
const VERSION: &str = "Api-Version";

/// A text of this pattern.
pub(super) fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}

/// An integer from `minimum` on.
pub(super) fn at_least(minimum: usize) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(minimum))
}

fn id() -> ObjectBuilder {
    text("^[A-Za-z0-9_:-]{1,64}$")
}

fn signatures() -> ObjectBuilder {
    text("^v1a?,[A-Za-z0-9+/]+={0,2}( v1a?,[A-Za-z0-9+/]+={0,2})*$")
}

fn version() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([API_VERSION]))
}

/// A parameter of a request.
pub(super) fn parameter(
    place: ParameterIn,
    name: &str,
    required: bool,
    shape: impl Into<RefOr<Schema>>,
    description: &str,
) -> Parameter {
    let required = if required { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(shape))
        .description(Some(description))
        .build()
}

/// The headers of every request; `id_is` says what its id is.
pub(super) fn asked(id_is: &str) -> [Parameter; 4] {
    let header = |name, shape, text| parameter(ParameterIn::Header, name, true, shape, text);
    [
        header(ID, id(), id_is),
        header(TIMESTAMP, at_least(0), "When this attempt was signed, s since the Unix epoch."),
        header(
            SIGNATURE,
            signatures(),
            "Signatures, separated by blanks. One that fits is enough.",
        ),
        header(VERSION, version(), "The date of the contract."),
    ]
}

/// The header that counts attempts.
pub(super) fn attempt() -> Parameter {
    let text = "1 for the first attempt. It stands here alone: bytes do not change on a retry.";
    parameter(ParameterIn::Header, "Attempt", false, at_least(1), text)
}

fn header(shape: impl Into<RefOr<Schema>>, description: &str) -> Header {
    HeaderBuilder::new().schema(shape).description(Some(description)).build()
}

/// An answer of this status, with the headers that every answer has.
fn answer(status: u16, description: &str, kind: &str, name: &str, seen: &[Case]) -> Response {
    let examples = seen.iter().filter_map(|(case, seen)| Some((*case, seen.response(status)?)));
    let body = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(name)))
        .examples_from_iter(examples)
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(kind, body)
        .header(ID, header(id(), "The id of the request."))
        .header(
            TIMESTAMP,
            header(at_least(0), "When the answer was signed, s since the Unix epoch."),
        )
        .header(
            SIGNATURE,
            header(signatures(), "A 200 that is not signed right counts for nothing."),
        )
        .header(VERSION, header(version(), "The date of the contract, as asked."))
        .build()
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
