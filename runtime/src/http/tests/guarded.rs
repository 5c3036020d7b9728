//! Addresses that may not be called, met when they are.

use super::*;
use crate::http::wire::{LOOKUPS_MAX, Resolver, lookup_by};
use futures_util::FutureExt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use tower::Service;

/// Stands for the public internet.
const PUBLIC: &str = "127.0.0.2";
/// Stands for our own network.
const OURS: &str = "127.0.0.1";

/// Listeners on one port of both.
async fn both() -> (TcpListener, TcpListener) {
    loop {
        let public = TcpListener::bind((PUBLIC, 0)).await.unwrap();
        let port = public.local_addr().unwrap().port();
        if let Ok(ours) = TcpListener::bind((OURS, port)).await {
            return (public, ours);
        }
    }
}

/// A client that finds these addresses for any name, one list after the other, the last for ever; and how often it
/// looked.
fn finding(answers: &'static [&'static [&'static str]]) -> (HttpClient, Arc<AtomicUsize>) {
    let looked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looked);
    let lookup: Lookup = Arc::new(move |_| {
        let answer = answers[count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
        let address = |text: &&str| SocketAddr::new(text.parse::<IpAddr>().unwrap(), 0);
        let found: Vec<_> = answer.iter().map(address).collect();
        Box::pin(async move { Ok(found) })
    });
    let outbound = Outbound { guard: allowed(&["127.0.0.2/32"]), tls: None };
    (HttpClient::with(POOL, Some(outbound), lookup), looked)
}

#[tokio::test]
async fn a_name_that_moves_into_our_network_gains_nothing() {
    let (public, ours) = both().await;
    let url: Uri =
        format!("http://wallet.test:{}/", public.local_addr().unwrap().port()).parse().unwrap();
    let (seen, _requests) = unbounded_channel();
    tokio::spawn(async move {
        let (stream, _) = public.accept().await.unwrap();
        let close = [
            b"HTTP/1.1 200 OK\r\nconnection: close\r\n".as_slice(),
            b"content-length: 2\r\n\r\nhi",
        ];
        play(stream, 0, vec![Act::SayAndClose(close.concat())], seen).await;
    });
    let (client, looked) = finding(&[&[PUBLIC], &[OURS]]);
    assert_eq!(post(&client, &url).await.unwrap().body, "hi");
    assert_eq!(looked.load(Ordering::Relaxed), 1, "what was looked at was connected to");
    assert_eq!(post(&client, &url).await, Err(CallError::Forbidden));
    assert_eq!(looked.load(Ordering::Relaxed), 2);
    assert!(ours.accept().now_or_never().is_none(), "nobody connected");
}

#[tokio::test]
async fn one_bad_address_among_good_ones_is_enough() {
    let (public, ours) = both().await;
    let url: Uri =
        format!("http://wallet.test:{}/", public.local_addr().unwrap().port()).parse().unwrap();
    const MIXED: [&[&[&str]]; 3] = [&[&[PUBLIC, OURS]], &[&[OURS, PUBLIC]], &[&["::1"]]];
    for answers in MIXED {
        let (client, _) = finding(answers);
        assert_eq!(post(&client, &url).await, Err(CallError::Forbidden), "{answers:?}");
    }
    assert!(public.accept().now_or_never().is_none() && ours.accept().now_or_never().is_none());
    let (client, _) = finding(&[&[]]);
    assert_eq!(post(&client, &url).await, Err(CallError::Connect));
}

/// A name server that is silent holds up its own names alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_never_found_takes_few_threads() {
    static LOOKED: AtomicUsize = AtomicUsize::new(0);
    static SILENT: Mutex<()> = Mutex::new(());
    let lookup = lookup_by(|name| {
        if name == "slow.test" {
            LOOKED.fetch_add(1, Ordering::SeqCst);
            drop(SILENT.lock());
        }
        Ok(Vec::new())
    });
    let find = |name: &str| lookup(name.parse().unwrap());
    let (is_silent, silent) = mpsc::channel();
    let (speak, speaks) = mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let _silence = SILENT.lock();
        is_silent.send(()).unwrap();
        speaks.recv().unwrap();
    });
    silent.recv().unwrap();
    for _ in 0..10 {
        let given_up = tokio::time::timeout(Duration::from_millis(20), find("slow.test")).await;
        assert!(given_up.is_err());
    }
    assert_eq!(LOOKED.load(Ordering::SeqCst), LOOKUPS_MAX);
    assert!(find("quick.test").await.is_ok());
    speak.send(()).unwrap();
    server.join().unwrap();
    assert!(find("slow.test").await.is_ok(), "there is room again");
}

/// What may be called in clear is less than what may be called.
#[tokio::test]
async fn without_tls_only_what_is_listed_is_called() {
    let guard = allowed(&["127.0.0.2/32"]);
    let finds = |found: &'static str, plain| {
        let address = SocketAddr::new(found.parse().unwrap(), 0);
        let lookup: Lookup = Arc::new(move |_| Box::pin(async move { Ok(vec![address]) }));
        let mut resolver = Resolver { lookup, guard: Some(guard.clone()), plain };
        async move { resolver.call("wallet.test".parse().unwrap()).await.is_ok() }
    };
    for (found, plain, good) in [
        ("1.1.1.1", false, true),
        ("1.1.1.1", true, false),
        ("127.0.0.2", true, true),
        ("127.0.0.1", false, false),
    ] {
        assert_eq!(finds(found, plain).await, good, "{found} {plain}");
    }
}

/// Nobody resolves them, so nothing behind a name would ever see them.
#[tokio::test]
async fn addresses_in_the_url_itself_are_looked_at() {
    let (public, ours) = both().await;
    let port = public.local_addr().unwrap().port();
    let (client, looked) = finding(&[&[PUBLIC]]);
    for host in [OURS, "[::1]", "[::ffff:127.0.0.1]", "localhost", "0x7f.1", "2130706433"] {
        let url = format!("http://{host}:{port}/").parse().unwrap();
        assert_eq!(post(&client, &url).await, Err(CallError::Forbidden), "{host}");
    }
    for url in ["https://1.1.1.1/", "http://1.1.1.1/", "ftp://wallet.test/"] {
        let answer = post(&client, &url.parse().unwrap()).await;
        assert!(matches!(answer, Err(CallError::Forbidden | CallError::Tls)), "{url}: {answer:?}");
    }
    assert_eq!(looked.load(Ordering::Relaxed), 0);
    assert!(public.accept().now_or_never().is_none() && ours.accept().now_or_never().is_none());
}
