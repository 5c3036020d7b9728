use super::house::House;

#[tokio::test]
async fn ops() {
    let house = House::new();
    assert_eq!(house.call("GET /healthz", "", "").await.status, 200);
    let ready = house.call("GET /readyz", "", "").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.body["checks"]["line"], "is being read");
    assert_eq!(ready.body["checks"]["log"], "ok");
    assert_eq!(house.call("GET /version", "", "").await.body["version"], "1.2.3");
    house.call("GET /v1/rounds/some-round", "", "").await;
    house.call("BREW /v1/rounds/some-round", "", "").await;
    house.call("GET /some/path", "", "").await;
    let metrics = house.call("GET /metrics", "", "").await;
    let text = metrics.body.as_str().unwrap();
    for wanted in [
        r#"method="GET",route="/v1/rounds/{round}",status="401""#,
        r#"method="_OTHER",route="/v1/rounds/{round}",status="405""#,
        r#"route="unmatched",status="404""#,
        "http_server_request_duration_seconds_bucket",
        "# TYPE roundhouse_ready gauge\nroundhouse_ready 0\n",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
    assert!(!text.contains("some"), "raw paths must not become labels");
}
