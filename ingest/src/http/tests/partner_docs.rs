//! What partners read is what the types say, and nobody asks who they are.

use super::house::House;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

#[tokio::test]
async fn the_document_of_the_wallet_is_for_anybody() {
    let house = House::new();
    let request = Request::get("/partner/wallet.openapi.json").body(Body::empty()).unwrap();
    let response = house.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let served = response.into_body().collect().await.unwrap().to_bytes();
    let file = include_str!("../../../../docs/partner/wallet.openapi.json");
    assert_eq!(served, file.trim_end());
}
