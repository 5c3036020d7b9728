//! The examples of the document of the partner API: what a partner asks, and what it is answered.
//!
//! Keys and clock are fixed, so that every byte is the same each time. `BLESS=1` writes the files that are
//! compared otherwise; what changed has to be reviewed, because partners build on it.

mod scenes;
mod settler;

use super::*;
use runtime::Millis;
use schemas::contract::{API_VERSION, timestamp};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Now, for both sides: 2026-11-29T12:00:00Z.
const AT_S: i64 = 1_795_953_600;
/// What is told of the headers.
const HEADERS: [&str; 7] = [
    "api-version",
    "content-type",
    "partner-id",
    "retry-after",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// A clock that stands still.
#[derive(Clone)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Millis {
        AT_S * 1_000
    }
}

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

fn told(headers: &HeaderMap) -> BTreeMap<&'static str, String> {
    let value = |name| Some((name, headers.get(name)?.to_str().unwrap().to_owned()));
    HEADERS.into_iter().filter_map(value).collect()
}

fn raw(text: Vec<u8>) -> Box<RawValue> {
    RawValue::from_string(String::from_utf8(text).unwrap()).unwrap()
}

/// What is told of an exchange besides its bytes.
struct Words {
    summary: &'static str,
    note: &'static str,
    /// A body that is no JSON, or very long, would only spoil the document.
    with_body: bool,
}

impl From<&'static str> for Words {
    fn from(summary: &'static str) -> Self {
        Self { summary, note: "", with_body: true }
    }
}

/// What was recorded, by file name.
#[derive(Default)]
struct Book(BTreeMap<String, String>);

impl Book {
    /// Asks, and writes down as `name` what was said.
    async fn record(
        &mut self,
        house: &House,
        name: &str,
        words: impl Into<Words>,
        ask: Ask,
    ) -> Came {
        let Words { summary, note, with_body } = words.into();
        let came = ask.clone().send(house).await;
        // Before a key was shown nobody is given our signature.
        let is_unsigned = [401, 413].contains(&came.status) || came.code() == "not_served_here";
        assert_eq!(came.headers.contains_key("webhook-id"), !is_unsigned, "{name}");
        if !is_unsigned {
            let id = ask.headers["webhook-id"].to_str().unwrap();
            verify_reply(&[our_key().verifying()], &came.headers, AT_S, id, &came.body).unwrap();
        }
        let body = (with_body && !ask.body.is_empty()).then(|| raw(ask.body));
        let headers = told(&ask.headers);
        let exchange = Exchange {
            summary,
            note,
            request: Asked { method: ask.method.to_string(), path: ask.path, headers, body },
            response: Answered {
                status: came.status,
                headers: told(&came.headers),
                body: raw(came.body.clone()),
            },
        };
        let text = serde_json::to_string_pretty(&exchange).unwrap() + "\n";
        assert_eq!(self.0.insert(format!("{name}.json"), text), None, "{name}");
        came
    }
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/examples")
}

#[test]
fn the_examples_are_what_partners_are_answered() {
    assert_eq!(timestamp(AT_S * 1_000), "2026-11-29T12:00:00.000Z");
    let mut book = Book::default();
    // One thread reads what is kept: whoever holds it keeps all who ask waiting.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(scenes::play(&mut book));
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
            "{name} is not what partners are answered; `cargo xtask bless` writes it"
        );
    }
}
