//! For partners, without credentials: the documents of the API that they implement and of the one that they may ask, and a page that
//! shows both.

use super::partner_api;
use crate::docs::page;
use axum::Router;
use axum::routing::{MethodRouter, get};
use http::header::CONTENT_TYPE;
use schemas::contract;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, Url};

/// Where the documents are; their files in `docs/partner` have the same names.
const WALLET: &str = "/wallet.openapi.json";
const PLATFORM: &str = "/platform.openapi.json";

/// `/partner/wallet.openapi.json`, `/partner/platform.openapi.json` and `/partner/docs/`.
pub(super) fn routes() -> Router {
    let shown = [
        Url::new("Wallet API: what a partner implements", "../wallet.openapi.json"),
        Url::new("Partner API: what a partner may ask", "../platform.openapi.json"),
    ];
    // A request that nobody signed would only be refused.
    let config = Config::new(shown).supported_submit_methods([""; 0]);
    let below = Router::new()
        .route(WALLET, shows(&contract::document()))
        .route(PLATFORM, shows(&partner_api::open_api::document()));
    Router::new().nest("/partner", below.merge(page(config)))
}

fn shows(document: &OpenApi) -> MethodRouter {
    let document = document.to_pretty_json().unwrap_or_default();
    get(|| async { ([(CONTENT_TYPE, "application/json")], document) })
}
