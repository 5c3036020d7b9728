//! Swagger UI out of the binary: a page needs nothing from the network.

use crate::problem::{Kind, Problem};
use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use std::sync::Arc;
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

/// The page that shows documents.
const INDEX: &str = "index.html";

/// `/docs/`; the addresses in `config` are as seen from below it, whatever stands before it.
pub(crate) fn page(config: Config<'static>) -> Router {
    let config = Arc::new(config);
    let page = Arc::clone(&config);
    Router::new()
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
