//! `roundhouse health`.

use super::{EXIT_FINDING, EXIT_OK};
use anyhow::Context;
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;
use tokio::time::timeout;

/// Longest wait for an answer: a process that takes longer is of no use to callers either.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  roundhouse health                                          whether a process on this host is ready
  roundhouse health --url http://127.0.0.1:9190/healthz      whether it lives

Exit codes:
  0  it answered with 200
  1  it answered otherwise, or not within 5 s
  2  the URL is none";

/// Ask a process whether it is ready, for health checks of containers without curl.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// What to get
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9190/readyz")]
    url: Uri,
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let wrong = wrong(args.url.clone()).await;
    Ok(match wrong {
        None => EXIT_OK,
        Some(wrong) => {
            println!("{}: {wrong}", args.url);
            EXIT_FINDING
        }
    })
}

/// What is wrong with the answer at `url`; `None` if it is 200.
async fn wrong(url: Uri) -> Option<String> {
    let client: Client<HttpConnector, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    match timeout(ANSWER_WAIT_MAX, client.get(url)).await.context("no answer within 5 s") {
        Ok(Ok(answer)) if answer.status() == StatusCode::OK => None,
        Ok(Ok(answer)) => Some(answer.status().to_string()),
        Ok(Err(error)) => Some(format!("{:#}", anyhow::Error::from(error))),
        Err(late) => Some(late.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server that gives one answer to one call.
    async fn answering(answer: &'static str) -> Args {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut caller, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            let count = caller.read(&mut head).await.unwrap();
            assert!(head[..count].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            caller.write_all(answer.as_bytes()).await.unwrap();
        });
        Args { url: url.parse().unwrap() }
    }

    #[tokio::test]
    async fn only_200_is_healthy() {
        let healthy = answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        assert_eq!(run(healthy).await.unwrap(), EXIT_OK);
        for answer in ["HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", "SSH-2.0-OpenSSH\r\n", ""]
        {
            assert_eq!(run(answering(answer).await).await.unwrap(), EXIT_FINDING, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_port_that_nobody_has_is_not_healthy() {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url: Uri = format!("http://{free}/readyz").parse().unwrap();
        let wrong = wrong(url).await.unwrap();
        assert!(wrong.contains("refused"), "{wrong}");
    }
}
