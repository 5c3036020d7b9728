//! Against servers with certificates that are made here.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// What servers are called.
const NAME: &str = "wallet.test";

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    pem: String,
}

struct Issued {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self { pem: root.pem(), root: root.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let issued = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate: issued.der().clone(), pem: issued.pem(), key }
    }

    /// A file of it, in a directory that lasts as long as it is kept.
    fn file(&self) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = write(&directory, "ca.pem", &self.pem);
        (directory, path)
    }
}

fn write(directory: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// A server that shows `issued`, and takes nobody without a certificate of `clients` if that is given.
fn server(
    issued: &Issued,
    version: &'static SupportedProtocolVersion,
    clients: Option<&Authority>,
) -> TlsAcceptor {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.root.clone()).unwrap();
            let roots = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(roots.build().unwrap())
        }
    };
    let key = PrivateKeyDer::try_from(issued.key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![issued.certificate.clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// As [`serve`](super::serve), behind handshakes.
async fn serve_tls(
    acceptor: TlsAcceptor,
    script: Vec<Vec<Act>>,
) -> (Uri, UnboundedReceiver<(usize, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, requests) = unbounded_channel();
    tokio::spawn(async move {
        for (number, acts) in script.into_iter().enumerate() {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, seen) = (acceptor.clone(), seen.clone());
            tokio::spawn(async move {
                match acceptor.accept(stream).into_fallible().await {
                    Ok(stream) => play(stream, number, acts, seen).await,
                    // What it said of the reason would be lost with what is not read.
                    Err((_, mut stream)) => while stream.read_u8().await.is_ok() {},
                }
            });
        }
        pending::<()>().await;
    });
    (format!("https://{NAME}:{port}/path").parse().unwrap(), requests)
}

/// A client for which every name is this machine.
fn client_with(tls: Tls) -> HttpClient {
    let outbound = Outbound { guard: allowed(&["127.0.0.0/8"]), tls: Some(tls) };
    let lookup: Lookup =
        Arc::new(|_| Box::pin(async { Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))]) }));
    HttpClient::with(POOL, Some(outbound), lookup)
}

/// A client that trusts an authority.
fn trusting(authority: &Authority) -> HttpClient {
    let (_directory, path) = authority.file();
    client_with(Tls::load(Some(&path), None).unwrap())
}

#[tokio::test]
async fn calls_and_connections_are_as_without_tls() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let acceptor = server(&authority.issue(NAME, |_| ()), version, None);
        let script = vec![vec![Act::Say(ok("one")), Act::Say(ok("two"))]];
        let (url, mut requests) = serve_tls(acceptor, script).await;
        let client = trusting(&authority);
        assert_eq!(post(&client, &url).await.unwrap().body, "one");
        assert_eq!(post(&client, &url).await.unwrap().body, "two");
        let (_, request) = requests.recv().await.unwrap();
        assert!(request.starts_with("POST /path HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(&format!("host: {NAME}:")), "{request}");
        assert_eq!(requests.recv().await.unwrap().0, 0, "the same connection");
    }
}

/// The handshake and what comes with it (tickets, the end of a session) are no bytes of an answer.
#[tokio::test]
async fn an_idle_connection_that_closes_is_replaced_once_and_half_an_answer_never() {
    let authority = Authority::new();
    let issued = authority.issue(NAME, |_| ());
    for version in [&TLS12, &TLS13] {
        for (last, wanted, connections) in [
            ("", Ok("two"), vec![0, 0, 1]),
            ("HTTP/1.1 200 OK\r\ncont", Err(CallError::Broken), vec![0, 0]),
        ] {
            let closing = vec![Act::Say(ok("one")), Act::SayAndClose(last.into())];
            let script = vec![closing, vec![Act::Say(ok("two"))]];
            let (url, mut requests) = serve_tls(server(&issued, version, None), script).await;
            let client = trusting(&authority);
            post(&client, &url).await.unwrap();
            let again = post(&client, &url).await.map(|answer| answer.body);
            assert_eq!(again, wanted.map(Bytes::from), "{version:?} {last:?}");
            let mut seen = Vec::new();
            while let Ok((connection, _)) = requests.try_recv() {
                seen.push(connection);
            }
            assert_eq!(seen, connections, "{version:?} {last:?}");
        }
    }
}

/// A connection that never served is not replaced, however it ends.
#[tokio::test]
async fn a_new_connection_that_closes_is_not_replaced() {
    let authority = Authority::new();
    let acceptor = server(&authority.issue(NAME, |_| ()), &TLS13, None);
    let script = vec![vec![Act::SayAndClose(Vec::new())], vec![Act::Say(ok("again"))]];
    let (url, mut requests) = serve_tls(acceptor, script).await;
    assert_eq!(post(&trusting(&authority), &url).await, Err(CallError::Broken));
    requests.recv().await.unwrap();
    assert!(requests.try_recv().is_err(), "sent once");
}

#[tokio::test]
async fn who_is_not_who_they_should_be_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 1);
    };
    let early = |params: &mut CertificateParams| params.not_before = date_time_ymd(4000, 1, 1);
    for (why, issued) in [
        ("expired", authority.issue(NAME, expired)),
        ("not yet valid", authority.issue(NAME, early)),
        ("another name", authority.issue("wallet.other", |_| ())),
        ("an unknown authority", other.issue(NAME, |_| ())),
    ] {
        for version in [&TLS12, &TLS13] {
            let acceptor = server(&issued, version, None);
            let (url, mut requests) = serve_tls(acceptor, vec![vec![Act::Say(ok("hi"))]]).await;
            assert_eq!(post(&trusting(&authority), &url).await, Err(CallError::Tls), "{why}");
            assert!(requests.try_recv().is_err(), "{why}: nothing was sent");
        }
    }
}

/// An address is verified like a name.
#[tokio::test]
async fn a_certificate_may_be_for_an_address() {
    let authority = Authority::new();
    for (name, wanted) in [("127.0.0.1", Ok("hi")), (NAME, Err(CallError::Tls))] {
        let acceptor = server(&authority.issue(name, |_| ()), &TLS13, None);
        let (url, _requests) = serve_tls(acceptor, vec![vec![Act::Say(ok("hi"))]]).await;
        let url = url.to_string().replace(NAME, "127.0.0.1").parse().unwrap();
        let answer = post(&trusting(&authority), &url).await.map(|answer| answer.body);
        assert_eq!(answer, wanted.map(Bytes::from), "{name}");
    }
}

#[tokio::test]
async fn each_scheme_needs_a_server_of_its_kind() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{NAME}:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        pending::<()>().await;
    });
    let client = trusting(&authority);
    assert_eq!(post(&client, &url.parse().unwrap()).await, Err(CallError::Tls));

    let acceptor = server(&authority.issue(NAME, |_| ()), &TLS13, None);
    let (url, mut requests) = serve_tls(acceptor, vec![vec![Act::Say(ok("hi"))]]).await;
    let plain = url.to_string().replace("https:", "http:").parse().unwrap();
    assert_eq!(post(&client, &plain).await, Err(CallError::Broken));
    assert!(requests.try_recv().is_err());
}

/// Who never ends a handshake is somebody without a connection.
#[tokio::test]
async fn a_handshake_has_the_time_of_a_connection() {
    let authority = Authority::new();
    let (_directory, path) = authority.file();
    let guard = allowed(&["127.0.0.0/8"]);
    let tls = Some(Tls::load(Some(&path), None).unwrap());
    let options = HttpOptions { connect_wait_max: Duration::from_millis(80), ..POOL };
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap()).parse().unwrap();
    let client = HttpClient::guarded(options, Outbound { guard, tls });
    assert_eq!(post(&client, &url).await, Err(CallError::Connect));
}

#[tokio::test]
async fn a_wallet_may_want_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let issued = authority.issue(NAME, |_| ());
    let (directory, ca) = authority.file();
    let files = |issued: &Issued| {
        let certificate = write(&directory, "certificate.pem", &issued.pem);
        (certificate, write(&directory, "key.pem", &issued.key.serialize_pem()))
    };
    for version in [&TLS12, &TLS13] {
        for (who, shown, wanted) in [
            ("ours", Some(clients.issue("roundhouse", |_| ())), Ok("hi")),
            ("of an unknown authority", Some(authority.issue("x", |_| ())), Err(CallError::Tls)),
            ("none", None, Err(CallError::Tls)),
        ] {
            let acceptor = server(&issued, version, Some(&clients));
            let (url, mut requests) = serve_tls(acceptor, vec![vec![Act::Say(ok("hi"))]]).await;
            let files = shown.as_ref().map(files);
            let client = files.as_ref().map(|(certificate, key)| (&**certificate, &**key));
            let client = client_with(Tls::load(Some(&ca), client).unwrap());
            let answer = post(&client, &url).await.map(|answer| answer.body);
            assert_eq!(answer, wanted.map(Bytes::from), "{who} {version:?}");
            assert_eq!(requests.try_recv().is_ok(), wanted.is_ok(), "{who} {version:?}");
        }
    }
}

/// Why it cannot be used is said, and where it is; of what is in it nothing.
#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let (directory, ca) = authority.file();
    let (one, two) = (authority.issue("one", |_| ()), authority.issue("two", |_| ()));
    let file = |name: &str, text: &str| write(&directory, name, text);
    let (certificate, key) = (file("one.pem", &one.pem), file("one.key", &one.key.serialize_pem()));
    let other_key = file("two.key", &two.key.serialize_pem());
    let (empty, missing) = (file("empty", ""), directory.path().join("missing"));
    let text = one.key.serialize_pem();
    let cut = file("cut.key", &text[..text.len() / 2]);
    let secret = &text.lines().nth(1).unwrap()[..20];
    assert!(Tls::load(Some(&ca), Some((&certificate, &key))).is_ok());
    for (ca, certificate, key, wrong, file) in [
        (&missing, &certificate, &key, &missing, TlsFile::Authorities),
        (&empty, &certificate, &key, &empty, TlsFile::Authorities),
        (&key, &certificate, &key, &key, TlsFile::Authorities),
        (&ca, &missing, &key, &missing, TlsFile::Certificate),
        (&ca, &key, &key, &key, TlsFile::Certificate),
        (&ca, &certificate, &missing, &missing, TlsFile::Key),
        (&ca, &certificate, &certificate, &certificate, TlsFile::Key),
        (&ca, &certificate, &cut, &cut, TlsFile::Key),
        (&ca, &certificate, &other_key, &other_key, TlsFile::Key),
    ] {
        let error = Tls::load(Some(ca), Some((certificate, key))).unwrap_err();
        let text = format!("{} {error:?}", chain(&error));
        assert!(text.contains(&wrong.display().to_string()), "{text}");
        assert!(!text.contains(secret), "{text}");
        assert!(matches!(error, TlsError::File { file: of, .. } if of == file), "{text}");
    }
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn why_there_is_no_tls_is_logged_once_until_there_is() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (authority, other) = (Authority::new(), Authority::new());
    let (_directory, ca) = authority.file();
    let guard = allowed(&["127.0.0.0/8"]);
    let outbound = Outbound { guard, tls: Some(Tls::load(Some(&ca), None).unwrap()) };
    let peers = Peers::new(outbound);
    let client = peers.client(POOL);
    let [good, bad] =
        [&authority, &other].map(|by| server(&by.issue("127.0.0.1", |_| ()), &TLS13, None));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let busy = b"HTTP/1.1 503 Busy\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_vec();
    tokio::spawn(async move {
        for acceptor in [&bad, &bad, &good, &bad] {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                let (seen, _requests) = unbounded_channel();
                play(stream, 0, vec![Act::SayAndClose(busy.clone())], seen).await;
            }
        }
    });
    let keys = PeerKeys { ours: vec![SecretKey::of_seed(&[1; 32])], theirs: Vec::new() };
    peers.set("acme", &base, keys).unwrap();
    let mut told = Vec::new();
    for _ in 0..4 {
        let body = Some(Bytes::from_static(b"hello!"));
        let message =
            Message { id: "c_1", method: Method::POST, path: "/", route: "/", headers: &[], body };
        let wait = Duration::from_secs(20);
        let answer = peers.call(&client, &"acme", message, wait, 64, &Stopped).await;
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        told.push((answer.map(|answer| answer.status), text.matches(&base).count()));
        assert!(text.contains("invalid peer certificate"), "{text}");
    }
    let tls = Err(CallError::Tls);
    assert_eq!(told, [(tls, 1), (tls, 1), (Ok(503), 1), (tls, 2)]);
}
