//! Requests as bytes: what a client of ours would not send.

use crate::house::WAIT_MAX;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Its head, in small letters.
    pub(crate) head: String,
    /// Null if it is no JSON.
    pub(crate) body: Value,
}

impl Answer {
    /// Reads an answer whose connection was closed behind it.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_default(),
            head: head.to_lowercase(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }
}

/// Sends `bytes` to `host`, all of them before anything is read, as simple clients do.
pub(crate) async fn send(host: &str, bytes: &[u8]) -> Answer {
    let told = timeout(WAIT_MAX, async {
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(bytes).await.expect("the server must take what it refuses");
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.expect("the server must not reset the connection");
        told
    });
    Answer::parse(&told.await.expect("no answer in time"))
}
