//! The cases of this process: a machine for each partition that it has, and the webhook.

use super::loops::{Start, first};
use super::{Opened, Role};
use crate::config;
use crate::engine::CASES as GROUP;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Uri};
use runtime::http::{HttpClient, HttpOptions};
use runtime::{Caller, Handles, Job, SystemClock, Topic, supervise};
use schemas::catalogue::{CASES, ROUNDS};
use schemas::wire::CaseRecord;
use serde::Serialize;
use settler::{Cases, CasesOptions, SuspicionRules, Tell, Told};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for an answer.
const CALL_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read; nothing in it counts.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const POOL: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(3),
    idle_max: Duration::from_secs(4),
    idle_connections_max: 1,
};

/// Starts the machines.
///
/// # Errors
/// If the webhook's address or credential cannot be used.
pub(super) fn start<E: Opened>(start: &mut Start<'_, E>) -> anyhow::Result<()> {
    let config = &start.config.cases;
    let webhook = Webhook::of(config)?;
    let rules = SuspicionRules {
        overdue_ms: config.result_overdue_s.saturating_mul(1_000),
        payout_percent_max: config.payout_percent_max,
        bets_min: config.payout_bets_min,
    };
    let handles = Handles::default();
    start.loops.memberships.push((Role::Cases, handles.membership()));
    let job = Job { group: GROUP, topic: Topic(ROUNDS), also: vec![Topic(CASES)] };
    start.loops.tasks.spawn(supervise(
        start.measured(Role::Cases.name()),
        job,
        move |lease, positions| {
            Cases::new(CasesOptions {
                partition: lease.source.partition,
                from_rounds: first(&positions),
                from_cases: positions.get(1).map_or(0, |(_, from)| *from),
                partitions: E::PARTITIONS,
                rules,
            })
        },
        Arc::new(webhook),
        handles,
        SystemClock,
        start.stop.clone(),
    ));
    Ok(())
}

/// Who is told; nobody where no URL is configured.
pub(super) struct Webhook {
    client: HttpClient,
    url: Option<Uri>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A case, as it is told.
#[derive(Debug, Serialize)]
struct CaseBody<'a> {
    case_id: &'a str,
    step: i64,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    partner_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    round_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bet_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i64>,
    text: &'a str,
}

impl Webhook {
    fn of(config: &config::Cases) -> anyhow::Result<Self> {
        let url = match config.webhook_url.as_str() {
            "" => None,
            text => {
                let url: Uri = text.parse().context("cases.webhook_url is not a URL")?;
                if url.scheme_str() != Some("http") || url.authority().is_none() {
                    bail!("cases.webhook_url must begin with http:// and name a host");
                }
                Some(url)
            }
        };
        let mut headers = Vec::new();
        if !config.webhook_authorization.is_empty() {
            let mut value = HeaderValue::try_from(&config.webhook_authorization)
                .context("cases.webhook_authorization has characters that no header has")?;
            value.set_sensitive(true);
            headers.push((AUTHORIZATION, value));
        }
        Ok(Self { client: HttpClient::new(POOL), url, headers })
    }

    async fn post(&self, url: &Uri, case: &CaseRecord) -> Result<(), String> {
        let body = CaseBody {
            case_id: &case.case_id,
            step: case.step,
            code: &case.code,
            partner_id: case.partner_id.as_deref(),
            round_id: case.round_id.as_deref(),
            bet_id: case.bet_id.as_deref(),
            revision: case.revision,
            text: &case.text,
        };
        let body = serde_json::to_vec(&body).map_err(|error| error.to_string())?;
        let (body, headers) = (Bytes::from(body), &self.headers);
        let posted =
            self.client.post_json(url, headers, body, CALL_WAIT_MAX, ANSWER_BYTES_MAX).await;
        match posted.map_err(|error| error.to_string())?.status {
            200..300 => Ok(()),
            status => Err(format!("the webhook answered {status}")),
        }
    }
}

impl Caller<Cases> for Webhook {
    async fn call(&self, Tell { case }: Tell) -> Told {
        let Some(url) = &self.url else { return Told::Taken };
        self.post(url, &case).await.map_or_else(Told::Not, |()| Told::Taken)
    }
}
