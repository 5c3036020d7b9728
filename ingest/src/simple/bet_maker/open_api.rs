//! The document of this API.

use super::{events, list, place};
use crate::simple::bodies;
use utoipa::OpenApi;

/// Bets on the first team of an event, and how they stand.
///
/// Events come from line-provider. All bets are of one player, in one currency. Ids and amounts may be JSON
/// texts or numbers; they are answered as texts, amounts and odds with exactly two decimals. A bet pays its
/// amount times the odds that stood when it was placed, rounded down to two decimals; at odds of 1.00 or
/// below nothing can be won. Paths answer the same with a slash at their end. A refusal is
/// `application/problem+json` with a stable `code`.
#[derive(OpenApi)]
#[openapi(
    info(title = "bet-maker", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    servers((url = "/bet-maker")),
    paths(
        events::list, events::show, place::place, place::place_at_alias, list::list, list::show,
        super::no_update,
    ),
    components(schemas(bodies::EventBody, list::BetBody, bodies::Problem)),
)]
struct Document;

/// The document, for this version of the build.
pub(super) fn document(version: &str) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.version = version.to_owned();
    document
}
