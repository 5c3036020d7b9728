//! Clients that are slow, that only hold their connection, or that speak no HTTP: they are bounded in time and
//! number, and the others do not notice.

use crate::admin::get;
use crate::bad_input::{raw, scene};
use crate::house::{EXE, OPERATOR_KEY, Street, WAIT_MAX};
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use roundhouse::rig::processes::ServerProcess;
use runtime::Embedded;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// What a client waits for an answer while others misbehave.
const SERVED_MAX: Duration = Duration::from_secs(2);
/// Between two bytes of a slow client.
const BYTE_PAUSE: Duration = Duration::from_millis(50);
/// Connections that are held and not used.
const IDLE: usize = 2_000;
/// What each of them may cost in memory.
const IDLE_BYTES_MAX: u64 = 32 * 1024;
/// A file that does not fit into what the kernel keeps for a client that reads nothing, asked for often.
const LARGE: &str = "/line-provider/docs/swagger-ui-bundle.js";

/// A server, a round that takes bets, and bets.
struct Hall {
    _street: Street,
    server: ServerProcess,
    api: Api,
    host: String,
    wagers: Vec<Wager>,
}

impl Hall {
    async fn open(seed: u64, header_wait_ms_max: u64, descriptors: Option<u32>) -> Self {
        let street = Street::on::<Embedded>(1, seed, &[]).await;
        let config = street.file(&format!(
            "[server]\ndrain_notice_ms = 0\nheader_wait_ms_max = {header_wait_ms_max}"
        ));
        let mut arguments: Vec<String> =
            ["serve", "--announce", "--log", "warn", "--listen", "127.0.0.1:0", "--config"]
                .map(ToOwned::to_owned)
                .into();
        arguments.push(config.display().to_string());
        arguments.push("--data-dir".to_owned());
        arguments.push(street.directory.path().display().to_string());
        let server = match descriptors {
            None => ServerProcess::run(Path::new(EXE), &arguments).await,
            Some(most) => {
                let script = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
                let mut all = vec!["-c".to_owned(), script, EXE.to_owned()];
                all.extend(arguments);
                ServerProcess::run(Path::new("/bin/sh"), &all).await
            }
        };
        let server = server.unwrap();
        let api = Api::new(server.url.clone(), OPERATOR_KEY.to_owned());
        api.ready(WAIT_MAX).await.unwrap();
        api.open_die("r", 600_000, 200).await.unwrap();
        api.betting("r", WAIT_MAX).await.unwrap();
        let host = server.url.strip_prefix("http://").unwrap().to_owned();
        let mut wagers = street.wagers("r", 500, seed);
        if descriptors.is_none() {
            let first = wagers.pop().unwrap();
            assert_eq!(scene::placed(&api, &first.token, &first.body).await.status, 201);
        }
        Self { _street: street, server, api, host, wagers }
    }

    /// Somebody bets and is served as if nobody else were there.
    async fn is_served(&mut self) {
        let wager = self.wagers.pop().unwrap();
        let bet = self.api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body));
        let told = timeout(SERVED_MAX, bet).await.expect("nobody else is served").unwrap();
        assert_eq!(told.status, 201, "{}", told.body);
    }

    async fn gauge(&self, name: &str) -> u64 {
        let (_, text) = get(&self.server.admin, "/metrics", "*/*").await;
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    async fn descriptors(&self) -> u64 {
        self.gauge("process_open_fds").await
    }

    /// Waits until the server holds no more descriptors than `most`.
    async fn let_go(&self, most: u64, wait_max: Duration) {
        let begun = Instant::now();
        while most < self.descriptors().await {
            assert!(begun.elapsed() < wait_max, "connections are not let go");
            sleep(BYTE_PAUSE).await;
        }
    }
}

/// Sends one part at once and the other byte by byte, until the server has had enough; what it said, and
/// after how long.
async fn dribble(host: String, at_once: String, slowly: String) -> (Vec<u8>, Duration) {
    // Before the server can have begun to wait.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sending = tokio::spawn(async move {
        for byte in slowly.into_bytes() {
            if writing.write_all(&[byte]).await.is_err() {
                return;
            }
            sleep(BYTE_PAUSE).await;
        }
    });
    let mut told = Vec::new();
    // A reset is an end as well.
    drop(timeout(WAIT_MAX, reading.read_to_end(&mut told)).await.expect("it is let go on"));
    sending.abort();
    (told, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_is_left_and_the_others_are_served() {
    let mut hall = Hall::open(151, 2_000, None).await;
    hall.is_served().await;
    let before = hall.descriptors().await;
    let slow = "a".repeat(10_000);
    let head = "GET /healthz HTTP/1.1\r\nhost: h\r\nx-slow: ".to_owned();
    let heads = tokio::spawn(dribble(hall.host.clone(), head, slow.clone()));
    let body = format!(
        "POST /v1/rounds HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\
         content-type: application/json\r\ncontent-length: 10000\r\n\r\n"
    );
    let bodies = tokio::spawn(dribble(hall.host.clone(), body, slow));
    // This one asks and asks, and never reads.
    let deaf = TcpSocket::new_v4().unwrap();
    deaf.set_recv_buffer_size(4_096).unwrap();
    let mut deaf = deaf.connect(hall.host.parse().unwrap()).await.unwrap();
    let ask = format!("GET {LARGE} HTTP/1.1\r\nhost: h\r\n\r\n").repeat(20);
    deaf.write_all(ask.as_bytes()).await.unwrap();

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        hall.is_served().await;
        sleep(BYTE_PAUSE).await;
    }
    let (told, after) = heads.await.unwrap();
    assert!(told.is_empty(), "{}", String::from_utf8_lossy(&told));
    assert!((2..5).contains(&after.as_secs()), "the head was waited for {after:?}");
    let (told, after) = bodies.await.unwrap();
    let told = raw::Answer::parse(&told);
    assert_eq!((told.status, told.body["code"].as_str()), (408, Some("body_timeout")));
    assert!((10..15).contains(&after.as_secs()), "the body was waited for {after:?}");
    hall.let_go(before, Duration::from_secs(10)).await;
    drop(deaf);
    hall.is_served().await;
    hall.server.stop().await.unwrap();
}

/// Raises this process's own limit: both ends of each connection to a test are files.
fn allow(descriptors: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < descriptors) {
        let raised = Rlimit { current: limit.maximum, ..limit };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
}

/// A third has said nothing, a third has begun a request, a third had its answer.
async fn idle(host: &str, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(count);
    for number in 0..count {
        let mut stream = TcpStream::connect(host).await.unwrap();
        match number % 3 {
            0 => {}
            1 => stream.write_all(b"POST /v1/bets HTTP/1.1\r\nhost:").await.unwrap(),
            _ => {
                let request = b"GET /healthz HTTP/1.1\r\nhost: h\r\n\r\n";
                stream.write_all(request).await.unwrap();
                let mut told = [0; 15];
                stream.read_exact(&mut told).await.unwrap();
                assert_eq!(&told, b"HTTP/1.1 200 OK");
            }
        }
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_connections() {
    allow(4_000);
    let mut hall = Hall::open(152, 20_000, None).await;
    for _ in 0..50 {
        hall.is_served().await;
    }
    let before = hall.descriptors().await;
    let memory = hall.gauge("process_resident_memory_bytes").await;
    let held = idle(&hall.host, IDLE).await;
    let count = u64::try_from(held.len()).unwrap();
    for _ in 0..50 {
        hall.is_served().await;
    }
    let fresh = Api::new(hall.server.url.clone(), OPERATOR_KEY.to_owned());
    let told = timeout(SERVED_MAX, fresh.call(Method::GET, "/v1/rounds/r", OPERATOR_KEY, None));
    assert_eq!(told.await.unwrap().unwrap().status, 200);
    let now = hall.descriptors().await;
    assert!(before + count <= now, "{before} and {count} are not {now}: some were not held");
    let grown = hall.gauge("process_resident_memory_bytes").await.saturating_sub(memory);
    assert!(grown < count * IDLE_BYTES_MAX, "{grown} bytes for {count} connections");
    // Not held for ever either.
    hall.let_go(before + 2, Duration::from_secs(30)).await;
    drop(held);
    hall.server.stop().await.unwrap();
}

/// Where a process may open few files, connections do not take those that calls to wallets need.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_leave_files_for_the_rest() {
    let mut hall = Hall::open(153, 3_000, Some(200)).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        held.push(TcpStream::connect(&hall.host).await.unwrap());
    }
    // Half are kept; this one waits until those who hold the others are left.
    let wager = hall.wagers.pop().unwrap();
    let told = scene::placed(&hall.api, &wager.token, &wager.body).await;
    assert_eq!(told.status, 201, "{}", told.body);
    assert!(hall.descriptors().await < 200 - 50, "too many connections are held");
    drop(held);
    hall.is_served().await;
    hall.server.stop().await.unwrap();
}

/// What is no HTTP gets no page of ours, and ends its own connection alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_http() {
    let mut hall = Hall::open(154, 2_000, None).await;
    let many = "x: y\r\n".repeat(200);
    let large = "a".repeat(600_000);
    let long = "a".repeat(70_000);
    for (request, status) in [
        ("\u{16}\u{3}\u{1}\u{0}hello\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/9.9\r\nhost: h\r\n\r\n".to_owned(), 400),
        // Another protocol: closed without a word.
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 0),
        ("GET / /healthz HTTP/1.1\r\nhost: h\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        ("POST /v1/bets HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n".to_owned(), 400),
        ("POST /v1/bets HTTP/1.1\r\nhost: h\r\ncontent-length: 1e2\r\n\r\n".to_owned(), 400),
        (format!("GET /healthz HTTP/1.1\r\nhost: h\r\n{many}\r\n"), 431),
        (format!("GET /healthz HTTP/1.1\r\nhost: h\r\nx: {large}\r\n\r\n"), 431),
        (format!("GET /{long} HTTP/1.1\r\nhost: h\r\n\r\n"), 414),
    ] {
        let shown: String = request.chars().take(60).collect();
        let mut stream = TcpStream::connect(&hall.host).await.unwrap();
        // The largest is refused before it is whole.
        drop(stream.write_all(request.as_bytes()).await);
        let mut told = Vec::new();
        drop(timeout(WAIT_MAX, stream.read_to_end(&mut told)).await.unwrap());
        assert_eq!(raw::Answer::parse(&told).status, status, "{shown:?}");
    }
    hall.is_served().await;
    hall.server.stop().await.unwrap();
}
