//! `openapi.json`, and Swagger UI out of the binary: a page needs nothing from the network.

use super::routes::Slashed;
use crate::problem::{Kind, Problem};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

/// The page that shows the document.
const INDEX: &str = "index.html";

/// `/openapi.json` and `/docs/` for `document`.
pub(super) fn routes(document: OpenApi) -> Router {
    let json = document.to_json().unwrap_or_default();
    let document = get(move || {
        let json = json.clone();
        async move { ([(CONTENT_TYPE, "application/json")], json) }
    });
    // From below `/docs/`, whatever stands before it.
    let config = Arc::new(Config::from("../openapi.json").try_it_out_enabled(true));
    let page = Arc::clone(&config);
    Router::new()
        .slashed("/openapi.json", document)
        // The page names its files relative to itself.
        .route("/docs", get(|| async { Redirect::permanent("docs/") }))
        .route("/docs/", get(move || async move { file(INDEX, page) }))
        .route(
            "/docs/{file}",
            get(move |Path(name): Path<String>| async move { file(&name, config) }),
        )
}

fn file(name: &str, config: Arc<Config<'static>>) -> Response {
    match serve(name, config) {
        Ok(Some(SwaggerFile { bytes, content_type, .. })) => {
            ([(CONTENT_TYPE, content_type)], bytes.into_owned()).into_response()
        }
        Ok(None) => {
            Problem::new(Kind::NOT_FOUND, format!("there is no file {name}")).into_response()
        }
        Err(error) => Problem::new(Kind::UNAVAILABLE, error.to_string()).into_response(),
    }
}
