//! For partners, without credentials: the document of the API that they implement, and a page that shows it.

use crate::docs::page;
use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use schemas::contract;
use utoipa_swagger_ui::{Config, Url};

/// Where the document is; its file in `docs/partner` has the same name.
const WALLET: &str = "/wallet.openapi.json";

/// `/partner/wallet.openapi.json` and `/partner/docs/`.
pub(super) fn routes() -> Router {
    let wallet = contract::document().to_pretty_json().unwrap_or_default();
    let wallet = get(|| async { ([(CONTENT_TYPE, "application/json")], wallet) });
    let shown = [Url::new("Wallet API: what a partner implements", "../wallet.openapi.json")];
    // A request that nobody signed would only be refused.
    let config = Config::new(shown).supported_submit_methods([""; 0]);
    Router::new().nest("/partner", Router::new().route(WALLET, wallet).merge(page(config)))
}
