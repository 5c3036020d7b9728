//! What partners read is what the types say, and nobody asks who they are.

use super::house::House;
use crate::http::partner_api::open_api;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use std::path::Path;
use tower::ServiceExt;

#[test]
fn the_file_of_the_partner_api_is_what_its_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/partner/platform.openapi.json");
    let document = open_api::document().to_pretty_json().unwrap() + "\n";
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        std::fs::write(&path, &document).unwrap();
    }
    let told = std::fs::read_to_string(path).unwrap_or_default();
    assert!(told == document, "docs/partner/platform.openapi.json; `cargo xtask bless` writes it");
}

#[tokio::test]
async fn the_documents_are_for_anybody() {
    let house = House::new();
    for name in ["wallet", "platform"] {
        let path = format!("/partner/{name}.openapi.json");
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = house.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let served = response.into_body().collect().await.unwrap().to_bytes();
        let file = format!("../docs/partner/{name}.openapi.json");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert_eq!(served, std::fs::read_to_string(file).unwrap().trim_end());
    }
}
