//! The document of this API.

use super::{change, create, list, older};
use crate::simple::bodies;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

/// Events are offered, changed and finished.
///
/// An event is played by two teams; bets are on the first. Ids, odds and deadlines may be JSON texts or
/// numbers; they are answered as texts, odds with exactly two decimals and deadlines in UTC. Odds at or
/// below 1.00 are taken, and a bet on them can win nothing beyond its stake. Paths answer the same with a
/// slash at their end. A refusal is `application/problem+json` with a stable `code`.
#[derive(OpenApi)]
#[openapi(
    info(title = "line-provider", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    servers((url = "/line-provider")),
    paths(
        list::list, list::show, create::create, create::create_at_alias, change::patch, change::update, older::put, older::show,
    ),
    components(schemas(bodies::EventBody, bodies::ShortEventBody, bodies::Problem)),
    security((), ("operator" = [])),
)]
struct Document;

/// The document, for this version of the build.
pub(super) fn document(version: &str) -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    document.info.version = version.to_owned();
    let components = document.components.get_or_insert_default();
    let key = SecurityScheme::Http(
        Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An operator's key. Not needed in a sandbox."))
            .build(),
    );
    components.add_security_scheme("operator", key);
    document
}
