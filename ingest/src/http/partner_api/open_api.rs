//! The document of this API.

use super::{bets, days, events, replay, rounds};
use crate::http::ApiState;
use crate::simple::bodies::Problem;
use axum::extract::State;
use runtime::Engine;
use utoipa::OpenApi;

/// What a bookmaker may ask about its own bets.
///
/// Every request is signed with the keys with which you sign your replies to us, and every answer to it is signed
/// with ours: Standard Webhooks headers (`webhook-id`, `webhook-timestamp`, `webhook-signature`), within 300 s.
/// `partner-id` names you. `webhook-id` is `get_` and the first 32 hexadecimal digits of SHA-256 over your partner
/// id, a newline, and the path from `/partner/v1` on with its query as it is sent; its body is empty. That of a `POST`
/// is `post_` and the same of partner id, newline, path, newline and the body. An answer is signed under the id of its
/// request. What is not signed right is 401 `signature_invalid` or `clock_skew`.
/// What belongs to another partner is answered like what does not exist. A refusal is `application/problem+json`
/// with a stable `code`; 503 is to be sent again after `Retry-After`, signed anew.
#[derive(OpenApi)]
#[openapi(
    info(title = "Roundhouse for partners", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    servers((url = "/partner/v1")),
    paths(bets::show, events::list, rounds::statement, days::statement, replay::ask),
    components(schemas(Problem)),
)]
struct Document;

/// `GET /partner/v1/openapi.json`.
pub(super) async fn document<E: Engine>(
    State(api): State<ApiState<E>>,
) -> axum::Json<utoipa::openapi::OpenApi> {
    let mut document = Document::openapi();
    document.info.version = api.version.to_owned();
    axum::Json(document)
}
