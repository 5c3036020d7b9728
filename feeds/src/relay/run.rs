//! The adapter at work.

use super::page::{Event, Page};
use super::{PageError, Relay};
use crate::api::{HTTP, RoundsApi, Said, is_http};
use crate::files;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::{HeaderName, HeaderValue, Method, Uri};
use runtime::http::HttpClient;
use schemas::RoundId;
use serde_json::json;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Longest wait for a page.
const PAGE_WAIT_MAX: Duration = Duration::from_secs(10);
/// The longest page that is read, in bytes.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Between two questions to a source that had nothing new or did not answer, and between two calls with the
/// same event.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that an answer may ask for, in ms.
const AFTER_MS_MAX: u64 = 5_000;
/// The cursor.
const CURSOR: &str = "cursor";
/// Events that the API refused for good, one JSON object a line.
const REFUSED: &str = "refused.jsonl";

/// Why an adapter cannot go on.
#[derive(Debug, Error)]
pub enum RelayError {
    /// No place to ask.
    #[error("`{0}` is not the URL of a source, such as http://feed.example/events")]
    Source(String),
    /// The feed's name.
    #[error("a feed's name has 1 to 20 characters of A-Z, a-z, 0-9, `_` and `-`, not `{0}`")]
    Name(String),
    /// The file system says no. What was said stands; a restart says it again, to the same effect.
    #[error("{0} cannot be read or written")]
    Io(PathBuf, #[source] io::Error),
}

/// What an adapter is told at its start.
#[derive(Clone, Debug)]
pub struct RelayOptions {
    /// The feed's name: it stands in every request's id, so two feeds with the same ids do not meet.
    pub name: String,
    /// The URL that is asked; `after` is added to its query.
    pub source: String,
    /// Value of the header `Authorization` of questions to the source.
    pub source_authorization: Option<String>,
    /// Where the cursor and refused events are kept.
    pub state_dir: PathBuf,
}

struct Source {
    http: HttpClient,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Source {
    fn new(options: &RelayOptions) -> Result<Self, RelayError> {
        let refused = || RelayError::Source(options.source.clone());
        if !is_http(&options.source) {
            return Err(refused());
        }
        let mut headers = Vec::new();
        if let Some(text) = &options.source_authorization {
            let mut value = HeaderValue::try_from(text).map_err(|_| refused())?;
            value.set_sensitive(true);
            headers.push((http::header::AUTHORIZATION, value));
        }
        Ok(Self { http: HttpClient::new(HTTP), url: options.source.clone(), headers })
    }

    /// What there is behind `after`, or in words why it is not known.
    async fn page(&self, after: &str) -> Result<Page, String> {
        let sign = if self.url.contains('?') { '&' } else { '?' };
        let url = format!("{}{sign}after={}", self.url, escaped(after));
        let url: Uri = url.parse().map_err(|_| format!("the cursor `{after}` fits no URL"))?;
        let asked =
            self.http.call(Method::GET, &url, &self.headers, None, PAGE_WAIT_MAX, PAGE_BYTES_MAX);
        let answer = asked.await.map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(format!("status {}", answer.status));
        }
        Page::read(&answer.body, after).map_err(|error: PageError| error.to_string())
    }
}

/// Percent-encodes all but what is never reserved (RFC 3986, 2.3).
pub(super) fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// Carries events until `shutdown`; those being said then get their answer first, unless they would have to
/// be said again.
///
/// # Errors
/// [`RelayError`].
pub async fn run(
    options: &RelayOptions,
    api: &RoundsApi,
    shutdown: &CancellationToken,
) -> Result<(), RelayError> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if !(1..=20).contains(&options.name.len()) || !options.name.bytes().all(named) {
        return Err(RelayError::Name(options.name.clone()));
    }
    let source = Source::new(options)?;
    let path = options.state_dir.join(CURSOR);
    let at = |path: &PathBuf| {
        let path = path.clone();
        move |error| RelayError::Io(path, error)
    };
    std::fs::create_dir_all(&options.state_dir).map_err(at(&options.state_dir))?;
    let kept = files::read(&path).map_err(at(&path))?.unwrap_or_default();
    let mut stored = String::from_utf8_lossy(&kept).into_owned();
    let mut relay = Relay::new(stored.clone());
    let mut saying = FuturesUnordered::new();
    loop {
        for event in relay.ready() {
            saying.push(say(event, &options.name, api, shutdown));
        }
        if relay.done_to() != stored {
            relay.done_to().clone_into(&mut stored);
            files::replace(&path, stored.as_bytes()).map_err(at(&path))?;
        }
        let over = shutdown.is_cancelled();
        if over && saying.is_empty() {
            return Ok(());
        }
        let wants = relay.wants().filter(|_| !over).map(str::to_owned);
        tokio::select! {
            Some((round, answer)) = saying.next() => match answer {
                Answer::None => {}
                Answer::Admitted => relay.answered(&round),
                Answer::Refused(line) => {
                    let path = options.state_dir.join(REFUSED);
                    files::add_line(&path, &line).map_err(at(&path))?;
                    relay.answered(&round);
                }
            },
            page = read(&source, wants.clone().unwrap_or_default()), if wants.is_some() => {
                relay.take(page);
            }
            () = shutdown.cancelled(), if !over => {}
        }
    }
}

/// The next page with anything new.
async fn read(source: &Source, after: String) -> Page {
    loop {
        match source.page(&after).await {
            Ok(page) if page.next != after => return page,
            Ok(_) => {}
            Err(why) => tracing::warn!(source = source.url, after, why, "the source does not say"),
        }
        sleep(PAUSE).await;
    }
}

enum Answer {
    Admitted,
    Refused(String),
    /// Stopped before there was one.
    None,
}

/// Says one event until there is an answer.
async fn say(
    event: Event,
    feed: &str,
    api: &RoundsApi,
    shutdown: &CancellationToken,
) -> (RoundId, Answer) {
    let (method, path, body) = event.call(feed);
    let (event_id, round) = (&event.id, &event.round_id);
    loop {
        let pause = match api.say(method.clone(), &path, &body).await {
            Said::Admitted => {
                tracing::info!(%event_id, %round, "admitted");
                return (event.round_id, Answer::Admitted);
            }
            Said::Refused { code, detail } => {
                tracing::error!(%event_id, %round, code, detail, "refused for good");
                let line = json!({"event": event_id, "path": path, "body": body, "code": code, "detail": detail});
                return (event.round_id, Answer::Refused(line.to_string()));
            }
            Said::Again { why, after_ms } => {
                tracing::info!(%event_id, %round, why, "again");
                after_ms.map_or(PAUSE, |ms| Duration::from_millis(ms.min(AFTER_MS_MAX)))
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.cancelled() => return (event.round_id, Answer::None),
        }
    }
}
