//! Against a server that answers with scripted bytes, so that it can also answer wrongly.

mod guarded;
mod limits;
mod tls;

use super::*;
use crate::{Clock, Millis};
use signing::{Refused, SecretKey, WINDOW_S, sign};
use std::future::pending;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What the server does with a request.
#[derive(Clone)]
enum Act {
    /// Writes these bytes and keeps the connection.
    Say(Vec<u8>),
    /// Writes these bytes and closes.
    SayAndClose(Vec<u8>),
    /// Writes these bytes and then nothing more.
    SayAndHang(Vec<u8>),
    /// Writes these bytes over and over.
    Flood(Vec<u8>),
}

/// Plays `script`, a connection per list; reports every request as (connection, text).
async fn serve(script: Vec<Vec<Act>>) -> (Uri, UnboundedReceiver<(usize, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/path", listener.local_addr().unwrap()).parse().unwrap();
    let (seen, requests) = unbounded_channel();
    tokio::spawn(async move {
        for (number, acts) in script.into_iter().enumerate() {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(play(stream, number, acts, seen.clone()));
        }
        pending::<()>().await;
    });
    (url, requests)
}

async fn play(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    number: usize,
    acts: Vec<Act>,
    seen: UnboundedSender<(usize, String)>,
) {
    for act in acts {
        let Some(request) = read_request(&mut stream).await else { return };
        seen.send((number, request)).unwrap();
        match act {
            Act::Say(bytes) => stream.write_all(&bytes).await.unwrap(),
            Act::SayAndClose(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return drop(stream.shutdown().await);
            }
            Act::Flood(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Act::SayAndHang(bytes) => {
                stream.write_all(&bytes).await.unwrap();
                return pending().await;
            }
        }
    }
    pending::<()>().await;
}

/// One request whose body ends with `!`.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"!") {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(super) const POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(5),
    idle_max: Duration::from_secs(5),
    idle_connections_max: 4,
};

fn client() -> HttpClient {
    HttpClient::new(POOL)
}

/// Lets these networks be called, by http too.
fn allowed(networks: &[&str]) -> Guard {
    Guard::new(networks.iter().map(|text| text.parse().unwrap()).collect(), true, Vec::new())
}

async fn post(client: &HttpClient, url: &Uri) -> Result<HttpAnswer, CallError> {
    let headers = [(HeaderName::from_static("webhook-id"), HeaderValue::from_static("c_1"))];
    let wait = Duration::from_secs(20);
    client.post_json(url, &headers, Bytes::from_static(b"hello!"), wait, 16).await
}

#[tokio::test]
async fn an_answer_comes_back_whole_and_connections_are_used_again() {
    let (url, mut requests) = serve(vec![vec![Act::Say(ok("one")), Act::Say(ok("two"))]]).await;
    let client = client();
    for body in ["one", "two"] {
        let answer = post(&client, &url).await.unwrap();
        let wanted = HttpAnswer { status: 200, retry_after_ms: None, body: Bytes::from(body) };
        assert_eq!(answer, wanted);
    }
    let (connection, request) = requests.recv().await.unwrap();
    assert_eq!(connection, 0);
    assert!(request.starts_with("POST /path HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains("webhook-id: c_1\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nhello!"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
    assert_eq!(requests.recv().await.unwrap().0, 0, "the second call took the same connection");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let moved = b"HTTP/1.1 307 Moved\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n".to_vec();
    let (url, mut requests) = serve(vec![vec![Act::Say(moved)]]).await;
    assert_eq!(post(&client(), &url).await.unwrap().status, 307);
    requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err());
}

/// At 1793431680 s by our clock it is Sat, 31 Oct 2026 07:28:00 GMT.
#[test]
fn retry_after_is_seconds_or_a_date_by_their_clock_or_else_by_ours() {
    const NOW: Option<Millis> = Some(1_793_431_680_000);
    for (given, date, now, wanted) in [
        ("3", None, NOW, Some(3_000)),
        (" 0 ", None, None, Some(0)),
        ("99999999999999999", None, NOW, Some(u64::MAX)),
        ("Sat, 31 Oct 2026 07:28:07 GMT", None, NOW, Some(7_000)),
        ("Sat, 31 Oct 2026 07:28:07 GMT", Some("Sat, 31 Oct 2026 07:28:05 GMT"), NOW, Some(2_000)),
        ("Sat, 31 Oct 2026 07:28:07 GMT", Some("Sat, 31 Oct 2026 07:28:05 GMT"), None, Some(2_000)),
        ("Sat, 31 Oct 2026 07:28:07 GMT", Some("today"), NOW, Some(7_000)),
        ("Saturday, 31-Oct-26 07:29:00 GMT", None, NOW, Some(60_000)),
        ("Sat, 31 Oct 2026 07:27:00 GMT", None, NOW, Some(0)),
        ("Sat, 31 Oct 2026 07:28:07 GMT", None, None, None),
        ("-3", None, NOW, None),
        ("2.5", None, NOW, None),
        ("soon", None, NOW, None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, given.parse().unwrap());
        if let Some(date) = date {
            headers.insert(DATE, date.parse().unwrap());
        }
        assert_eq!(retry_after_ms(&headers, now), wanted, "{given}, {date:?}, {now:?}");
    }
    assert_eq!(retry_after_ms(&HeaderMap::new(), NOW), None);
}

#[tokio::test]
async fn retry_after_is_read() {
    for (given, wanted) in [("3", Some(3_000)), ("Wed, 21 Oct 2026 07:28:00 GMT", None)] {
        let busy =
            format!("HTTP/1.1 503 Busy\r\nretry-after: {given}\r\ncontent-length: 0\r\n\r\n");
        let (url, _requests) = serve(vec![vec![Act::Say(busy.into_bytes())]]).await;
        let answer = post(&client(), &url).await.unwrap();
        assert_eq!((answer.status, answer.retry_after_ms), (503, wanted));
    }
}

#[tokio::test]
async fn an_answer_is_bounded_with_and_without_a_stated_length() {
    let long = "x".repeat(17);
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless = [chunked, b"8\r\nxxxxxxxx\r\n".repeat(3)].concat();
    for act in [Act::Say(ok(&long)), Act::SayAndHang(endless)] {
        let (url, _requests) = serve(vec![vec![act]]).await;
        assert_eq!(post(&client(), &url).await, Err(CallError::TooLarge));
    }
    let (url, _requests) = serve(vec![vec![Act::Say(ok(&"x".repeat(16)))]]).await;
    assert_eq!(post(&client(), &url).await.unwrap().body.len(), 16);
}

#[tokio::test]
async fn the_deadline_covers_the_last_byte() {
    let slow = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    for act in [Act::SayAndHang(Vec::new()), Act::SayAndHang(slow)] {
        let (url, _requests) = serve(vec![vec![act]]).await;
        let body = Bytes::from_static(b"hello!");
        let answer = client().post_json(&url, &[], body, Duration::from_millis(80), 16).await;
        assert_eq!(answer, Err(CallError::Timeout));
    }
}

#[tokio::test]
async fn a_broken_answer_is_no_answer_and_is_not_repeated() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_vec();
    let half_head = b"HTTP/1.1 200 OK\r\ncont".to_vec();
    let not_http = b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec();
    for bytes in [cut, half_head.clone(), not_http, Vec::new()] {
        let script = vec![vec![Act::SayAndClose(bytes)], vec![Act::Say(ok("again"))]];
        let (url, mut requests) = serve(script).await;
        assert_eq!(post(&client(), &url).await, Err(CallError::Broken));
        requests.recv().await.unwrap();
        assert!(requests.try_recv().is_err(), "sent once");
    }
    // Not even on a connection that had served before, once a byte of the answer was there.
    let script =
        vec![vec![Act::Say(ok("one")), Act::SayAndClose(half_head)], vec![Act::Say(ok("again"))]];
    let (url, _requests) = serve(script).await;
    let client = client();
    post(&client, &url).await.unwrap();
    assert_eq!(post(&client, &url).await, Err(CallError::Broken));
}

#[tokio::test]
async fn an_idle_connection_that_closes_is_replaced_once() {
    let closing = || vec![Act::Say(ok("one")), Act::SayAndClose(Vec::new())];
    let (url, mut requests) = serve(vec![closing(), vec![Act::Say(ok("two"))]]).await;
    let client = client();
    post(&client, &url).await.unwrap();
    assert_eq!(post(&client, &url).await.unwrap().body, "two");
    let mut seen = Vec::new();
    while let Ok(request) = requests.try_recv() {
        seen.push(request);
    }
    let connections: Vec<_> = seen.iter().map(|(connection, _)| *connection).collect();
    assert_eq!(connections, [0, 0, 1]);
    assert_eq!(seen[1].1, seen[2].1, "the same bytes");
}

#[tokio::test]
async fn nobody_listening_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    assert_eq!(post(&client(), &url).await, Err(CallError::Connect));
    // This client speaks no TLS.
    let url = "https://localhost/".parse().unwrap();
    assert_eq!(post(&client(), &url).await, Err(CallError::Tls));
}

/// What a wallet signs with.
fn theirs() -> SecretKey {
    SecretKey::of_seed(&[2; 32])
}

/// A 200 with `body`, signed with `key` as a reply to the message `id` at `at_s`, then sent as `sent`.
fn signed(key: &SecretKey, id: &str, at_s: i64, body: &str, sent: &str) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", sent.len());
    for (name, value) in sign(std::slice::from_ref(key), id, at_s, body.as_bytes()).unwrap() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    format!("{head}\r\n{sent}").into_bytes()
}

#[derive(Clone)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Millis {
        1_000_000
    }
}

/// Asks `acme`, who answers with `answer`.
async fn ask(answer: Vec<u8>) -> (Result<HttpAnswer, CallError>, String) {
    let (url, mut requests) = serve(vec![vec![Act::Say(answer)]]).await;
    let peers = Peers::new(Outbound { guard: allowed(&["127.0.0.0/8"]), tls: None });
    let keys = PeerKeys {
        ours: vec![SecretKey::of_seed(&[1; 32])],
        theirs: vec![SecretKey::of_seed(&[3; 32]).verifying(), theirs().verifying()],
    };
    let base = url.to_string().replace("/path", "");
    peers.set("acme", &base, keys).unwrap();
    let message = Message {
        id: "c_1",
        method: Method::POST,
        path: "/path",
        route: "/path",
        headers: &[],
        body: Some(Bytes::from_static(b"hello!")),
    };
    let wait = Duration::from_secs(20);
    let answer = peers.call(&peers.client(POOL), &"acme", message, wait, 64, &Stopped).await;
    (answer, requests.recv().await.unwrap().1)
}

#[tokio::test]
async fn a_reply_counts_only_if_it_is_signed_as_one() {
    let (answer, request) = ask(signed(&theirs(), "c_1", 1_000, "yes", "yes")).await;
    assert_eq!(answer.unwrap().body, "yes");
    let headers = sign(&[SecretKey::of_seed(&[1; 32])], "c_1", 1_000, b"hello!").unwrap();
    for (name, value) in headers {
        let header = format!("{name}: {}\r\n", value.to_str().unwrap());
        assert!(request.contains(&header), "{header} is not in {request}");
    }
    let own = ask(signed(&theirs(), "c_1", 1_000, "hello!", "hello!")).await.0;
    assert_eq!(own, Err(CallError::Signature(Refused::OwnMessage)), "as if a secret was shared");
    let stranger = SecretKey::of_seed(&[9; 32]);
    for (answer, wanted) in [
        (ok("yes"), Refused::Unsigned),
        (signed(&theirs(), "c_1", 1_000, "yes", "yet"), Refused::NoKeyFits),
        (signed(&stranger, "c_1", 1_000, "yes", "yes"), Refused::NoKeyFits),
        // What we said ourselves, sent back.
        (signed(&SecretKey::of_seed(&[1; 32]), "c_1", 1_000, "yes", "yes"), Refused::NoKeyFits),
        (signed(&theirs(), "c_2", 1_000, "yes", "yes"), Refused::OtherId),
        (signed(&theirs(), "c_1", 1_000 - WINDOW_S - 1, "yes", "yes"), Refused::Stale),
        (signed(&theirs(), "c_1", 1_000 + WINDOW_S + 1, "yes", "yes"), Refused::Stale),
    ] {
        assert_eq!(ask(answer).await.0, Err(CallError::Signature(wanted)), "{wanted:?}");
    }
}

/// It decides nothing, whoever sent it.
#[tokio::test]
async fn what_is_no_200_need_not_be_signed() {
    // The clock of these tests stands at 1,000 s.
    for asked in ["2", "Thu, 01 Jan 1970 00:16:42 GMT"] {
        let busy = format!(
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: {asked}\r\ncontent-length: 0\r\n\r\n"
        );
        let answer = ask(busy.into_bytes()).await.0.unwrap();
        assert_eq!((answer.status, answer.retry_after_ms), (503, Some(2_000)), "{asked}");
    }
}
