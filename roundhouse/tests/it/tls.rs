//! A whole server whose wallet is called over TLS alone, and asks for our certificate: what takes bets, settles
//! and closes goes over it, and a wallet that shows another authority's certificate is owed, not told.

use crate::admin::get;
use crate::house::{House, Street, clean};
use crate::singly::until;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use runtime::embedded::Embedded;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// Longer than a wallet that answers needs for everything.
const WHILE_FOREIGN: Duration = Duration::from_secs(2);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        Self { pem: root.pem(), root: root.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// A server with a certificate of this authority, for clients with one of `clients`.
    fn server(&self, clients: &Self) -> TlsAcceptor {
        let (certificate, key) = self.issue("127.0.0.1");
        let mut roots = RootCertStore::empty();
        roots.add(clients.root.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_believed_behind_tls_and_owed_when_it_is_another() {
    let mut street = Street::on::<Embedded>(1, 95, &[]).await;
    let (ours, foreign) = (Authority::new(), Authority::new());
    let wallet: http::Uri = street.wallets.urls["p01"].parse().unwrap();
    let (port, show) = before(wallet.authority().unwrap().to_string(), ours.server(&ours)).await;
    street.config.partners[0].wallet_url = format!("https://127.0.0.1:{port}{}", wallet.path());
    let directory = street.directory.path().to_owned();
    let file = |name: &str, text: &str| {
        let path: PathBuf = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (certificate, key) = ours.issue("roundhouse.test");
    let wallets = &mut street.config.wallets;
    wallets.plain_http = false;
    wallets.ca_file = file("ca.pem", &ours.pem);
    wallets.client_certificate_file = file("client.pem", &certificate.pem());
    wallets.client_key_file = file("client.key", &key.serialize_pem());

    let mut wagers = street.wagers("r", 2_000, 1).into_iter();
    let house = House::<Embedded>::open(&street.config).await;
    house.api.open_die("r", 600_000, 200).await.unwrap();
    for _ in 0..20 {
        until(&house.api, &mut wagers, "").await;
    }
    house.api.close("r").await.unwrap();
    show.send_replace(foreign.server(&ours));
    house.api.result("r", "3").await.unwrap();
    sleep(WHILE_FOREIGN).await;
    assert_eq!(house.watch.seen().owed.len(), 20, "nobody was told");
    let admin = format!("http://{}", house.running.admin);
    let shown = get(&admin, "/metrics", "*/*").await.1;
    let tls = "roundhouse_partner_delivery_attempts_total{partner=\"p01\",outcome=\"tls\"}";
    assert!(shown.contains(tls), "{shown}");
    show.send_replace(ours.server(&foreign));
    sleep(WHILE_FOREIGN).await;
    assert_eq!(house.watch.seen().owed.len(), 20, "it does not know our certificate");
    show.send_replace(ours.server(&ours));
    house.settled().await;
    house.close().await;
    clean::<Embedded>(&street).await;
}
