//! Exchanges byte by byte: no HTTP client would show what is no HTTP.

use crate::client::{now_s, posted, wallet_key};
use hyper::HeaderMap;
use hyper::http::{HeaderName, HeaderValue};
use serde_json::Value;
use signing::{Refused, verify_reply};
use std::fmt::Write;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Longer than a wallet needs for all that it says; shorter than anybody's patience.
const PATIENCE: Duration = Duration::from_millis(600);
/// More than an answer may have.
const BYTES_MAX: usize = 2 << 20;
/// More than the head of an answer needs.
const HEAD_BYTES: usize = 100_000;
/// What a TLS 1.2 server says whose certificate is too old.
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 45];

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All that was promised came.
    Whole,
    /// The connection was closed before.
    Closed,
    /// It was reset before.
    Reset,
    /// Nothing more came, for as long as anybody waits.
    Open,
    /// It was far too much.
    TooMuch,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
}

/// The request as it goes over the wire.
pub(super) async fn request(path: &str, body: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
    let body = body.to_string();
    let request = posted(path, body.clone());
    let mut head = format!("POST {path} HTTP/1.1\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in request.headers() {
        write!(head, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    [head.as_bytes(), b"\r\n", body.as_bytes()].concat()
}

/// Asks over a connection of its own.
pub(super) async fn exchange(
    address: SocketAddr,
    path: &str,
    body: &Value,
    headers: &[(&str, &str)],
) -> Exchange {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = request(path, body, headers).await;
    exchange_on(&mut stream, &request).await
}

/// Asks over this connection.
pub(super) async fn exchange_on(stream: &mut TcpStream, request: &[u8]) -> Exchange {
    let (mut bytes, until) = (Vec::new(), Instant::now() + PATIENCE);
    let end = match stream.write_all(request).await {
        Err(_) => End::Reset,
        Ok(()) => loop {
            match timeout_at(until, stream.read_buf(&mut bytes)).await {
                Err(_) => break End::Open,
                Ok(Ok(0)) => break End::Closed,
                Ok(Ok(_)) if is_whole(&bytes) => break End::Whole,
                Ok(Ok(_)) if BYTES_MAX < bytes.len() => break End::TooMuch,
                Ok(Ok(_)) => {}
                Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => break End::Reset,
                Ok(Err(error)) => panic!("{error}"),
            }
        },
    };
    Exchange { bytes, end }
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some((_, headers, body)) = parsed(bytes) else { return false };
    match headers.get("content-length") {
        Some(length) => length.to_str().unwrap() == body.len().to_string(),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}

/// Status, headers and what there is of the body, in its chunks.
fn parsed(bytes: &[u8]) -> Option<(u16, HeaderMap, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
    };
    Some((status, lines.filter_map(header).collect(), &bytes[end + 4..]))
}

/// What there is of a body in chunks.
fn joined(mut chunked: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunked.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&chunked[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        let piece = &chunked[end + 2..];
        body.extend(&piece[..size.min(piece.len())]);
        chunked = piece.get(size + 2..).unwrap_or_default();
    }
    body
}

impl Exchange {
    pub(super) fn status(&self) -> Option<u16> {
        parsed(&self.bytes).map(|(status, ..)| status)
    }

    pub(super) fn body(&self) -> Vec<u8> {
        let (_, headers, body) = parsed(&self.bytes).unwrap();
        if headers.contains_key("transfer-encoding") { joined(body) } else { body.to_vec() }
    }

    /// What came back, in a few words.
    pub(super) fn said(&self) -> String {
        if self.bytes == ALERT {
            return format!("a TLS alert, {:?}", self.end);
        }
        let Some((status, headers, _)) = parsed(&self.bytes) else {
            return format!("{} bytes, {:?}", self.bytes.len(), self.end);
        };
        let mut said = status.to_string();
        if status == 200 {
            said += match verify_reply(&key(), &headers, now_s(), "m_1", &self.body()) {
                _ if self.end != End::Whole => "",
                Ok(()) => " signed",
                Err(Refused::Unsigned) => " unsigned",
                Err(Refused::Stale) => " stale",
                Err(Refused::NoKeyFits) => " unknown key",
                Err(other) => panic!("{other}"),
            };
        }
        let head = self.bytes.len() - parsed(&self.bytes).unwrap().2.len();
        if HEAD_BYTES < head {
            said += " huge head";
        }
        if let Some(location) = headers.get("location") {
            said += &format!(" to {}", location.to_str().unwrap());
        } else if self.end == End::Whole {
            said += &format!(" {}", content(&self.body()));
        } else {
            let whole = serde_json::from_slice::<Value>(&self.body()).is_ok();
            said += if whole { " all of it," } else { " a part," };
            said += &format!(" {:?}", self.end);
        }
        if let Some(seconds) = headers.get("retry-after") {
            said += &format!(", again in {} s", seconds.to_str().unwrap());
        }
        said
    }
}

fn key() -> [signing::VerifyingKey; 1] {
    [wallet_key().verifying()]
}

/// What a body says of the one item, or of the stake.
fn content(body: &[u8]) -> String {
    if body.is_empty() {
        return "empty".to_owned();
    }
    if body.starts_with(b"<!DOCTYPE html>") {
        return "page".to_owned();
    }
    let Ok(body) = serde_json::from_slice::<Value>(body) else { return "no JSON".to_owned() };
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    if let Some(code) = text(&body["code"]) {
        return code;
    }
    let of = if body["decision"].is_null() { &body["results"][0] } else { &body };
    if body["decision"].is_null() && body["chunk_id"] != "c_1" {
        return format!("chunk {}", body["chunk_id"]);
    }
    if of["bet_id"] != "r_1:b" {
        return format!("bet {}", of["bet_id"]);
    }
    let word = text(&of["outcome"]).or_else(|| text(&of["decision"])).unwrap_or_default();
    match (text(&of["code"]), text(&of["shortfall"])) {
        (Some(code), _) => format!("{word} {code}"),
        (None, Some(short)) => format!("{word} {} short of {short}", of["collected_net"]),
        (None, None) => format!("{word} {}", of["collected_net"]),
    }
}
