//! The document of this API: what handlers say of themselves, and what is the same for all of them.

mod examples;
mod refusals;

use super::{bets, days, events, replay, rounds};
use schemas::PartnerId;
use schemas::contract::API_VERSION;
use schemas::contract::document::headers::{answered, parameter, signed, version};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi as Document, Ref, RefOr};
use utoipa::{OpenApi, ToSchema};

/// What `webhook-id` of a `GET` is.
const GET_ID: &str = "`get_` and the first 32 hexadecimal digits of SHA-256 over the partner's id, a newline, and the \
    path from `/partner/v1` on with its query, exactly as it is sent. Another id is `signature_invalid`. A body is refused, too.";
/// What that of a `POST` is.
const POST_ID: &str = "`post_` and the first 32 hexadecimal digits of SHA-256 over the partner's id, a newline, \
    `/partner/v1/replay`, a newline and the body. Another id is `signature_invalid`.";

#[derive(OpenApi)]
#[openapi(
    info(title = "Partner API", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    servers((url = "/partner/v1", description = "Of the API of a running Roundhouse.")),
    paths(bets::show, events::list, rounds::statement, days::statement, replay::ask),
    components(schemas(Problem, PartnerId)),
)]
struct Handlers;

/// A refusal (RFC 9457). Programs go by `code` and `retryable`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "its shape is that of `crate::problem`, which writes it")]
struct Problem {
    /// `/errors/<code>`.
    #[schema(rename = "type", example = "/errors/bet_unknown")]
    kind: String,
    /// One line for people.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here and, where it helps, what to do.
    detail: String,
    /// The stable code, of which each has a page in `docs/errors`.
    #[schema(example = "bet_unknown")]
    code: String,
    /// Whether the same request may succeed later.
    retryable: bool,
}

/// The document, at [`API_VERSION`].
pub(in crate::http) fn document() -> Document {
    let mut document = Handlers::openapi();
    document.info.version = API_VERSION.to_owned();
    document.info.description = Some(include_str!("../../../contract/about.md").to_owned());
    for item in document.paths.paths.values_mut() {
        complete(item);
    }
    document
}

/// Adds what no handler says: the credential, refusals, the headers of what is done, and examples.
fn complete(item: &mut PathItem) {
    let asked = [(&mut item.get, GET_ID), (&mut item.post, POST_ID)];
    for (operation, id_is) in asked.into_iter().filter_map(|(of, id)| Some((of.as_mut()?, id))) {
        operation.parameters.get_or_insert_default().extend(credential(id_is));
        for done in operation.responses.responses.values_mut() {
            if let RefOr::T(done) = done {
                let headers = answered().map(|(name, header)| (name.to_owned(), header));
                done.headers.extend(headers);
            }
        }
        refuse(operation);
        examples::show(operation);
    }
}

fn credential(id_is: &str) -> Vec<Parameter> {
    let partner = Ref::from_schema_name(PartnerId::name());
    let whose = "Who asks: whose keys are tried.";
    let date = "The date of the contract; as if it were the first one if it is left out.";
    let mut headers = vec![parameter(ParameterIn::Header, "partner-id", true, partner, whose)];
    headers.extend(signed(id_is));
    headers.push(version(false, date));
    headers
}

fn refuse(operation: &mut Operation) {
    let name = operation.operation_id.clone().unwrap_or_default();
    for (status, refusal) in refusals::of(&name) {
        operation.responses.responses.insert(status, refusal.into());
    }
}

/// `GET /partner/v1/openapi.json`.
pub(super) async fn show() -> axum::Json<Document> {
    axum::Json(document())
}
