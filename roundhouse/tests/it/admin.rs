//! The admin port, and the end of a process as those before it see it.

use crate::house::{EXE, House, OPERATOR_KEY, Street, WAIT_MAX};
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::processes::ServerProcess;
use runtime::Embedded;
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// One GET over a connection of its own: status and body.
pub(crate) async fn get(base: &str, path: &str, accept: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: h\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn status(base: &str, path: &str) -> u16 {
    get(base, path, "*/*").await.0
}

async fn serve(street: &Street, further: &str) -> ServerProcess {
    let config = street.file(further);
    let directory = street.directory.path();
    let any = "127.0.0.1:0";
    ServerProcess::start(Path::new(EXE), &config, directory, any).await.unwrap()
}

/// Whoever reaches the API learns whether to send work there, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_for_those_who_run_it_has_a_port_of_its_own() {
    let street = Street::on::<Embedded>(1, 111, &[]).await;
    let house = House::<Embedded>::open(&street.config).await;
    let api = format!("http://{}", house.running.address);
    let admin = format!("http://{}", house.running.admin);
    for path in ["/metrics", "/startupz", "/version", "/admin/log"] {
        assert_eq!(status(&api, path).await, 404, "{path}");
    }
    for path in ["/metrics", "/startupz", "/version", "/healthz", "/readyz"] {
        assert_eq!(status(&admin, path).await, 200, "{path}");
    }
    assert_eq!(get(&api, "/readyz", "*/*").await, (200, r#"{"ready":true}"#.to_owned()));
    assert!(get(&admin, "/readyz", "*/*").await.1.contains(r#""settler":"ok""#));
    assert_eq!(status(&admin, "/v1/rounds").await, 404);
    let health = |url: String| {
        let health = std::process::Command::new(EXE).args(["health", "--url", &url]).output();
        health.unwrap().status.code()
    };
    assert_eq!(health(format!("{admin}/readyz")), Some(0));
    assert_eq!(health(format!("{admin}/nothing")), Some(1));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_logged_changes_while_it_runs() {
    let street = Street::on::<Embedded>(1, 112, &[]).await;
    let server = serve(&street, "").await;
    let admin = Api::new(server.admin.clone(), String::new());
    let put = async |filter: serde_json::Value| {
        let body = json!({ "filter": filter });
        admin.call(Method::PUT, "/admin/log", "", Some(&body)).await.unwrap()
    };
    let said = admin.call(Method::GET, "/admin/log", "", None).await.unwrap();
    assert_eq!(said.body, json!({"filter": "warn", "configured": "warn"}));
    let said = put(json!("error,settler=debug")).await;
    assert_eq!((said.status, said.text("filter")), (200, "error,settler=debug"));
    let refused = put(json!("error,==")).await;
    assert_eq!((refused.status, refused.text("code")), (422, "invalid_field"));
    let refused = put(json!("x".repeat(1_001))).await;
    assert_eq!((refused.status, refused.text("code")), (422, "invalid_field"));
    let said = put(json!(null)).await;
    assert_eq!((said.status, said.text("filter")), (200, "warn"));
    server.stop().await.unwrap();
}

/// Load balancers are told before the port closes; a second signal does not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_ends_before_the_api_does() {
    let street = Street::on::<Embedded>(1, 113, &[]).await;
    let server = serve(&street, "[server]\ndrain_notice_ms = 60000").await;
    let (api, admin) = (server.url.clone(), server.admin.clone());
    let client = Api::new(api.clone(), OPERATOR_KEY.to_owned());
    client.ready(WAIT_MAX).await.unwrap();
    server.signal(Signal::TERM).unwrap();
    let begun = Instant::now();
    while status(&api, "/readyz").await == 200 {
        assert!(begun.elapsed() < WAIT_MAX, "readiness does not end");
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(status(&admin, "/readyz").await, 503);
    assert!(get(&admin, "/readyz", "*/*").await.1.contains("the process is stopping"));
    assert_eq!(status(&admin, "/healthz").await, 200);
    client.open_die("late", 60_000, 100).await.unwrap();
    server.signal(Signal::TERM).unwrap();
    assert_eq!(server.ended().await.unwrap().code(), Some(130));
    assert!(begun.elapsed() < WAIT_MAX.min(Duration::from_secs(30)), "{:?}", begun.elapsed());
}

/// A request whose body is still coming when the port closes is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_is_answered() {
    let street = Street::on::<Embedded>(1, 114, &[]).await;
    let server = serve(&street, "").await;
    let client = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
    client.ready(WAIT_MAX).await.unwrap();
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    let body = json!({
        "round_id": "r", "game": "die", "betting_ms": 60_000,
        "selections": [{"id": "odd", "odds": "1.95"}, {"id": "even", "odds": "1.95"}],
    });
    let body = body.to_string();
    let mut stream = TcpStream::connect(&host).await.unwrap();
    let head = format!(
        "POST /v1/rounds HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // Said when the body is read: from now on the request is in flight.
    let wanted = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut told = vec![0; wanted.len()];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(told, wanted);
    server.signal(Signal::TERM).unwrap();
    let begun = Instant::now();
    while TcpStream::connect(&host).await.is_ok() {
        assert!(begun.elapsed() < WAIT_MAX, "the port does not close");
        sleep(Duration::from_millis(5)).await;
    }
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(server.ended().await.unwrap().code(), Some(0));
}
