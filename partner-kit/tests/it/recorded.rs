//! The examples of the contract's document: what the platform asks, and what the reference wallet answers.
//!
//! Keys and clock are fixed, so that every byte is the same each time. `BLESS=1` writes the files that are
//! compared otherwise; what changed has to be reviewed, because partners build on it.

mod refusals;
mod scenes;

use crate::client::{Line, Served, options, platform_key, wallet_key};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Request};
use partner_kit::{Keep, WalletOptions};
use schemas::contract::{API_VERSION, AUTHORIZE_PATH, STATE_PATH, document, timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use signing::{SecretKey, sign, verify_reply};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Now, for both sides: 2026-11-29T12:00:00Z.
const AT_S: i64 = 1_795_953_600;
/// What is told of the headers.
const HEADERS: [&str; 8] = [
    "api-version",
    "attempt",
    "content-encoding",
    "content-type",
    "retry-after",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// One exchange, as its file has it.
#[derive(Serialize)]
struct Exchange {
    summary: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    note: &'static str,
    request: Asked,
    response: Answered,
}

#[derive(Serialize)]
struct Asked {
    method: String,
    path: String,
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct Answered {
    status: u16,
    headers: BTreeMap<&'static str, String>,
    body: Box<RawValue>,
}

/// A message of the platform.
#[derive(Clone)]
struct Message {
    method: Method,
    path: String,
    id: String,
    body: String,
    at_s: i64,
    key: SecretKey,
    version: &'static str,
    /// Whether it says that it is packed.
    is_packed: bool,
    /// What is told in the place of a body that would only make the document large, or wrong.
    hidden: &'static str,
    /// How the wallet is to misbehave about it; not told. Empty: not at all.
    misbehave: &'static str,
}

impl Message {
    fn post(path: &str, id: &str, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).unwrap();
        Self { method: Method::POST, body, ..Self::get(path, id.to_owned()) }
    }

    fn get(path: &str, id: String) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            id,
            body: String::new(),
            at_s: AT_S,
            key: platform_key(),
            version: API_VERSION,
            is_packed: false,
            hidden: "",
            misbehave: "",
        }
    }

    fn request(&self) -> Request<Full<Bytes>> {
        let body = Bytes::from(self.body.clone());
        let signed = sign(std::slice::from_ref(&self.key), &self.id, self.at_s, &body).unwrap();
        let mut request = Request::builder()
            .method(&self.method)
            .uri(&self.path)
            .header("host", "wallet")
            .header("api-version", self.version)
            .body(Full::new(body))
            .unwrap();
        let headers = request.headers_mut();
        headers.extend(HeaderMap::from_iter(signed));
        if [AUTHORIZE_PATH, STATE_PATH].contains(&self.path.as_str()) {
            headers.insert("attempt", 1.into());
        }
        if !self.misbehave.is_empty() {
            headers.insert("x-misbehave", self.misbehave.parse().unwrap());
        }
        if self.is_packed {
            headers.insert("content-encoding", "gzip".parse().unwrap());
        }
        if self.method == Method::POST {
            headers.insert("content-type", "application/json".parse().unwrap());
        }
        request
    }
}

fn told(headers: &HeaderMap) -> BTreeMap<&'static str, String> {
    let value = |name| Some((name, headers.get(name)?.to_str().unwrap().to_owned()));
    HEADERS.into_iter().filter_map(value).collect()
}

fn raw(text: &[u8]) -> Box<RawValue> {
    RawValue::from_string(String::from_utf8(text.to_vec()).unwrap()).unwrap()
}

/// A wallet whose clock stands still.
async fn wallet(change: impl FnOnce(&mut WalletOptions)) -> Served {
    let mut options = options(Keep::InMemory);
    options.clock = Arc::new(|| AT_S * 1_000);
    options.ledger.opening_units = 10_000;
    change(&mut options);
    Served::start(options).await
}

/// What was recorded, by file name.
#[derive(Default)]
struct Book(BTreeMap<String, String>);

impl Book {
    /// Asks, and writes down as `name` what was said.
    async fn record(
        &mut self,
        wallet: &Served,
        name: &str,
        summary: &'static str,
        message: &Message,
    ) -> Bytes {
        let headers = told(message.request().headers());
        let mut line = Line::to(wallet.address).await;
        let (answer, bytes) = line.exchange(message.request()).await.unwrap().into_parts();
        if answer.status == 200 {
            let keys = [wallet_key().verifying()];
            verify_reply(&keys, &answer.headers, AT_S, &message.id, &bytes).unwrap();
        }
        let note = message.hidden;
        let body =
            (note.is_empty() && !message.body.is_empty()).then(|| raw(message.body.as_bytes()));
        let (method, path) = (message.method.to_string(), message.path.clone());
        let exchange = Exchange {
            summary,
            note,
            request: Asked { method, path, headers, body },
            response: Answered {
                status: answer.status.as_u16(),
                headers: told(&answer.headers),
                body: raw(&bytes),
            },
        };
        let text = serde_json::to_string_pretty(&exchange).unwrap() + "\n";
        assert_eq!(self.0.insert(format!("{name}.json"), text), None, "{name}");
        bytes
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/contract/examples")
}

#[tokio::test]
async fn the_examples_are_what_the_wallet_says() {
    assert_eq!(timestamp(AT_S * 1_000), "2026-11-29T12:00:00.000Z");
    let mut book = Book::default();
    scenes::play(&mut book).await;
    if std::env::vars().any(|(name, _)| name == "BLESS") {
        for (name, text) in &book.0 {
            std::fs::write(directory().join(name), text).unwrap();
        }
    }
    let files = std::fs::read_dir(directory()).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), book.0.keys().cloned().collect());
    for (name, text) in &book.0 {
        let file = std::fs::read_to_string(directory().join(name)).unwrap();
        assert_eq!(
            &file, text,
            "{name} is not what the wallet says; `cargo xtask bless` writes it"
        );
    }
}

/// Every call of the document is answered, and no other method where it is.
#[tokio::test]
async fn the_document_has_the_wallets_methods() {
    let wallet = wallet(|_| {}).await;
    for (path, item) in document().paths.paths {
        let request = Request::delete(path.replace("{id}", "r_77")).header("host", "wallet");
        let request = request.body(Full::default()).unwrap();
        let answer = Line::to(wallet.address).await.exchange(request).await.unwrap();
        assert_eq!(answer.status(), 405, "{path}");
        let takes = answer.headers()["allow"].to_str().unwrap().split(',');
        let takes: BTreeSet<&str> = takes.filter(|method| *method != "HEAD").collect();
        let said = [("GET", item.get.is_some()), ("POST", item.post.is_some())];
        let said = said.iter().filter(|(_, is)| *is).map(|(method, _)| *method);
        assert_eq!(takes, said.collect(), "{path}");
    }
}
