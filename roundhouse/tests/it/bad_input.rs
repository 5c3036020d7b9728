//! Bad input against a server's process, in one table: status, code, and nothing changed.
//!
//! A row is a request as its bytes are sent. After each one everything that can be seen is compared with
//! what was there before: rounds, events, bets, and what wallets were asked and moved.

mod bets;
pub(crate) mod raw;
mod rounds;
pub(crate) mod scene;
mod simple;

use crate::house::{Ground, books, movements, placed};
use raw::Answer;
use scene::Scene;
use std::path::Path;

on_every_engine!(nothing_bad_gets_in);

/// Bytes of a body that nobody takes.
const HUGE_BYTES: usize = 2 << 20;

/// A request, and its refusal.
struct Row {
    /// Method and path.
    line: String,
    /// The credential; none if empty.
    bearer: String,
    /// Header lines besides the usual ones.
    headers: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
}

fn row(line: &str, bearer: &str, body: impl Into<Vec<u8>>, status: u16, code: &'static str) -> Row {
    let (line, bearer, body) = (line.to_owned(), bearer.to_owned(), body.into());
    Row { line, bearer, headers: "content-type: application/json\r\n", body, status, code }
}

impl Row {
    fn with(self, headers: &'static str) -> Self {
        Self { headers, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { line, bearer, headers, .. } = self;
        let mut head = format!("{line} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{headers}");
        if !bearer.is_empty() {
            head += &format!("authorization: Bearer {bearer}\r\n");
        }
        if !head.contains("transfer-encoding") {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head += "\r\n";
        [head.as_bytes(), &self.body].concat()
    }

    fn shown(&self) -> String {
        let body: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        format!("{} {}{body}", self.line, self.headers.trim_end())
    }

    /// What of an answer is not this row's refusal, in the form that all have, with a page about its code.
    fn amiss(&self, told: &Answer) -> Option<String> {
        let code = told.body["code"].as_str().unwrap_or_default();
        let detail = told.body["detail"].as_str().unwrap_or_default().len();
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
        let holds = [
            ("code", (told.status, code) == (self.status, self.code)),
            ("media type", told.head.contains("content-type: application/problem+json")),
            ("status in the body", told.body["status"] == self.status),
            ("type", told.body["type"] == format!("/errors/{code}")),
            ("length of the detail", (1..1_000).contains(&detail)),
            ("page about the code", pages.join(format!("{code}.md")).is_file()),
        ];
        let (what, _) = holds.into_iter().find(|(_, holds)| !holds)?;
        let (shown, Self { status, code: wanted, .. }) = (self.shown(), self);
        Some(format!(
            "{shown}: {what}: {} {code}, not {status} {wanted}: {}",
            told.status, told.body
        ))
    }
}

/// What every route that takes a body refuses of any body.
fn of_any_body(line: &str, bearer: &str) -> Vec<Row> {
    let deep = "[".repeat(60_000);
    let huge = format!(r#"{{"a":"{}"}}"#, "a".repeat(HUGE_BYTES));
    let chunked = format!("{:x}\r\n{huge}\r\n0\r\n\r\n", huge.len());
    let in_chunks = "content-type: application/json\r\ntransfer-encoding: chunked\r\n";
    let text = "content-type: text/plain\r\n";
    vec![
        row(line, bearer, "", 400, "malformed_json"),
        row(line, bearer, "{", 400, "malformed_json"),
        row(line, bearer, "NaN", 400, "malformed_json"),
        row(line, bearer, b"\xff\xfe{}".as_slice(), 400, "malformed_json"),
        row(line, bearer, "null", 422, "invalid_field"),
        row(line, bearer, "7", 422, "invalid_field"),
        row(line, bearer, "[]", 422, "invalid_field"),
        row(line, bearer, deep, 422, "invalid_field"),
        row(line, bearer, r#"{"colour":"red"}"#, 422, "invalid_field"),
        row(line, bearer, "{}", 415, "unsupported_media_type").with(text),
        row(line, bearer, "{}", 415, "unsupported_media_type").with(""),
        row(line, bearer, huge, 413, "body_too_large"),
        row(line, bearer, chunked, 413, "body_too_large").with(in_chunks),
    ]
}

async fn nothing_bad_gets_in<E: Ground>() {
    let (street, scene) = Scene::set::<E>().await;
    let before = scene.seen().await;
    let (mut rows, mut amiss) = (0, Vec::new());
    for part in [bets::rows(&scene), rounds::rows(&scene), simple::rows(&scene)] {
        for row in part {
            let told = raw::send(&scene.host, &row.bytes()).await;
            let after = scene.seen().await;
            assert_eq!(after, before, "changed by {}", row.shown());
            amiss.extend(row.amiss(&told));
            rows += 1;
        }
    }
    assert!(amiss.is_empty(), "{} of {rows}: {amiss:#?}", amiss.len());
    assert!(250 < rows, "{rows} rows");
    bets::anothers_bet_looks_like_none(&scene).await;
    let known = scene.bets.clone();
    scene.server.stop().await.unwrap();

    let books = books::<E>(&street).await;
    let report = roundhouse::audit::audit(&books, true).unwrap();
    assert!(report.clean, "{report}");
    let written: Vec<String> = placed(&books).into_iter().collect();
    assert_eq!(written, known, "bets that were written down");
    let mut asked: Vec<&String> = movements(&books).map(|movement| &movement.bet).collect();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, known.iter().collect::<Vec<_>>(), "bets that wallets know");
}

/// A JSON text with one part of it replaced.
fn with(good: &str, part: &str, other: &str) -> String {
    assert!(good.contains(part), "{part} is not in {good}");
    good.replace(part, other)
}
