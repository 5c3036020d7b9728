//! A whole server whose wallet is called over TLS alone, and asks for our certificate: what takes bets, settles
//! and closes goes over it, and a wallet that shows another certificate is owed, not told.

use crate::admin::get;
use crate::house::{Ground, House, Street, WAIT_MAX, clean};
use crate::singly::until;
use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

on_every_engine!(a_wallet_is_believed_behind_tls_and_owed_when_it_is_another);

/// A year that no test sees.
const FAR: i32 = 4000;
const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// A certificate that is trusted as it is, until this year.
fn certificate(name: &str, until: i32) -> CertifiedKey<KeyPair> {
    let signing_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(until, 1, 1);
    CertifiedKey { cert: params.self_signed(&signing_key).unwrap(), signing_key }
}

/// A server that shows one certificate, to clients that show the other.
fn server(shown: &CertifiedKey<KeyPair>, client: &CertifiedKey<KeyPair>) -> TlsAcceptor {
    let mut roots = RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let key = PrivateKeyDer::try_from(shown.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![shown.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Stands before the server at `upstream`: its port, and who it is. Whoever becomes another drops every connection.
async fn before(upstream: String, first: TlsAcceptor) -> (u16, watch::Sender<TlsAcceptor>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (become_other, who) = watch::channel(first);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (upstream, mut who) = (upstream.clone(), who.clone());
            tokio::spawn(async move {
                let acceptor = who.borrow_and_update().clone();
                let pass = async {
                    let mut inside = acceptor.accept(stream).await?;
                    let mut wallet = TcpStream::connect(upstream).await?;
                    copy_bidirectional(&mut inside, &mut wallet).await
                };
                tokio::select! {
                    passed = pass => drop(passed),
                    _ = who.changed() => {}
                }
            });
        }
    });
    (port, become_other)
}

/// Attempts that ended at the certificates.
async fn refusals<E: Ground>(house: &House<E>) -> u64 {
    let admin = format!("http://{}", house.running.admin);
    let metrics = get(&admin, "/metrics", "*/*").await.1;
    let tls = "roundhouse_partner_delivery_attempts_total{partner=\"p01\",outcome=\"tls\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(tls));
    count.map_or(0, |count| count.parse().unwrap())
}

/// Waits until it was tried, and all is owed. Of two attempts the first may have begun when another was shown.
async fn is_refused<E: Ground>(house: &House<E>, what: &str) {
    let (before, begun) = (refusals(house).await, Instant::now());
    while refusals(house).await < before + 2 {
        assert_eq!(house.watch.seen().owed.len(), 20, "{what}: nobody is told");
        assert!(begun.elapsed() < WAIT_MAX, "{what}: not tried twice");
        sleep(LOOK_PERIOD).await;
    }
    assert_eq!(house.watch.seen().owed.len(), 20, "{what}: nobody was told");
}

async fn a_wallet_is_believed_behind_tls_and_owed_when_it_is_another<E: Ground>() {
    let mut street = Street::on::<E>(1, 95, &[]).await;
    let [theirs, foreign] = [(); 2].map(|()| certificate("127.0.0.1", FAR));
    let [ours, unknown] = [(); 2].map(|()| certificate("roundhouse.test", FAR));
    let (expired, elsewhere) = (certificate("127.0.0.1", 2000), certificate("127.0.0.2", FAR));
    let wallet: http::Uri = street.wallets.urls["p01"].parse().unwrap();
    let (port, show) =
        before(wallet.authority().unwrap().to_string(), server(&theirs, &ours)).await;
    street.config.partners[0].wallet_url = format!("https://127.0.0.1:{port}{}", wallet.path());
    let directory = street.directory.path().to_owned();
    let file = |name: &str, text: &str| {
        let path: PathBuf = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let wallets = &mut street.config.wallets;
    wallets.plain_http = false;
    let trusted = [&theirs, &expired, &elsewhere].map(|one| one.cert.pem()).concat();
    wallets.ca_file = file("ca.pem", &trusted);
    wallets.client_certificate_file = file("client.pem", &ours.cert.pem());
    wallets.client_key_file = file("client.key", &ours.signing_key.serialize_pem());

    let mut wagers = street.wagers("r", 2_000, 1).into_iter();
    let house = House::<E>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    for _ in 0..20 {
        until(&house.api, &mut wagers, "").await;
    }
    house.api.close("r").await.unwrap();
    show.send_replace(server(&foreign, &ours));
    house.api.result("r", "3").await.unwrap();
    let begun = Instant::now();
    while house.watch.seen().owed.len() < 20 {
        assert!(begun.elapsed() < WAIT_MAX, "not all are owed");
        sleep(LOOK_PERIOD).await;
    }
    for (what, server) in [
        ("foreign", server(&foreign, &ours)),
        ("expired", server(&expired, &ours)),
        ("elsewhere", server(&elsewhere, &ours)),
        ("it does not know our certificate", server(&theirs, &unknown)),
    ] {
        show.send_replace(server);
        is_refused(&house, what).await;
    }
    show.send_replace(server(&theirs, &ours));
    house.settled().await;
    house.close().await;
    clean::<E>(&street).await;
}
