//! Betting that is paused by itself, for one partner alone: because of what is owed to it, or because its ledger is not
//! the one that counts (R20), said by its dispatcher; and because it does not answer for stakes, said by whoever asks it.
//! It goes on by itself, but for a ledger that was restored: that people sign off.
//!
//! What is said stands in `partners.v1`, and counts from there for every process. Two may say the same; the last
//! word counts, and each of them goes on looking.

mod ledger;

use super::Opened;
use super::loops::Start;
use crate::config::Pausing;
use crate::restored::CODE;
use ingest::authorize::{Authorize, AuthorizeOptions};
use ingest::partners::{Partner, Partners};
use ingest::stakes::{Due, Stakes};
use ledger::{Heard, heard};
use partner_dispatcher::{Dispatcher, Health, Metrics, OwedOf, OwedQuery, PauseLimits, owed};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use runtime::http::HttpOptions;
use runtime::{Alarm, Append, Clock, Handles, Millis, SystemClock, Topic, telemetry};
use schemas::catalogue::PARTNERS;
use schemas::partners::{LedgerWord, PartnerSaid, PartnerWord, Pauser, Said};
use schemas::wire::CaseRecord;
use schemas::{ContentHash, PartnerId, outgoing};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(1);
/// How long bets that a restored ledger does not know are told to it anew, in ms: what was bet before may be corrected
/// for 30 days, and be retried for 35.
const RECOVERED_MS: Millis = 65 * 24 * 60 * 60 * 1_000;
/// Connections for asking how partners are: one question at a time.
const ASK_POOL: HttpOptions =
    HttpOptions { idle_connections_max: 1, ..AuthorizeOptions::STANDARD.http };

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Paused {
    partner: String,
    by: &'static str,
}

/// Says it.
#[derive(Clone)]
struct Speaker<E> {
    engine: E,
    partners: Partners,
}

impl<E: Opened> Speaker<E> {
    async fn pause(&self, partner: &PartnerId, by: Pauser, paused: bool, reason: String) {
        if paused {
            tracing::warn!(partner.id = %partner, by = by.name(), reason, "betting is paused");
        } else {
            tracing::info!(partner.id = %partner, by = by.name(), reason, "betting goes on");
        }
        self.say(partner, PartnerWord::Paused(by, paused), by, reason, None).await;
    }

    /// If it cannot be said now, whoever looks next says it.
    async fn say(
        &self,
        partner: &PartnerId,
        what: PartnerWord,
        by: Pauser,
        reason: String,
        case: Option<CaseRecord>,
    ) {
        let by = Said { reason, actor: by.name().to_owned(), said_at: SystemClock.now() };
        let said = PartnerSaid { partner: partner.clone(), what, by };
        let record = outgoing::partner(&said, self.engine.partitions(Topic(PARTNERS)));
        let case = case.map(|case| outgoing::case(&case, E::PARTITIONS)).transpose();
        let why = match record.and_then(|record| Ok((record, case?))) {
            Ok((record, case)) => {
                let records = case.into_iter().chain([record]);
                let records = records.map(|record| Append::from(record.into_parts())).collect();
                self.engine.append(records).await.err().map(|error| error.to_string())
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = why {
            tracing::warn!(partner.id = %partner, why, "it could not be said; it will be again");
        }
    }

    /// Says what follows from the epoch that the ledger of a partner names, which was as in `partner` when its
    /// dispatcher was asked (R20).
    async fn ledger(&self, partner: &Partner, epoch: &str) {
        let Some(now) = self.partners.get(&partner.id) else { return };
        let paused = now.betting.is_paused_by(Pauser::Restore);
        let (then, now) = (partner.ledger.as_ref(), now.ledger.as_ref());
        let before = match heard(then, now, paused, epoch) {
            None => return,
            Some(Heard::First) => {
                let word = LedgerWord { epoch: epoch.to_owned(), restored: false };
                let reason = "the first epoch that it named".to_owned();
                let what = PartnerWord::Ledger(word);
                return self.say(&partner.id, what, Pauser::Deliveries, reason, None).await;
            }
            Some(Heard::Other { before }) => before,
        };
        let id = &partner.id;
        let reason = format!("its ledger went from epoch `{before}` to `{epoch}`");
        tracing::warn!(partner.id = %id, reason, "betting is paused until people sign the ledger off");
        let case = CaseRecord {
            case_id: format!("case_{}", ContentHash::of(&[id.as_str(), CODE, before, epoch])),
            step: 1,
            code: CODE.to_owned(),
            partner_id: Some(id.to_string()),
            round_id: None,
            bet_id: None,
            revision: None,
            text: format!(
                "{reason}: if it was restored from a backup, send what it lost again and sign it off"
            ),
        };
        let what = PartnerWord::Paused(Pauser::Restore, true);
        self.say(id, what, Pauser::Restore, reason, Some(case)).await;
    }
}

fn limits(pausing: &Pausing) -> PauseLimits {
    PauseLimits {
        void_ms_max: pausing.void_s.saturating_mul(1_000),
        failed_rounds_max: pausing.failed_rounds,
        failed_units_max: pausing.failed_units_max.clone(),
    }
}

/// Looks at what the dispatchers of this process owe, shows it, and pauses partners by it, until `stop`.
pub(super) fn deliveries<E: Opened>(
    start: &mut Start<'_, E>,
    handles: Handles<Dispatcher>,
    metrics: Metrics,
) {
    let mut health = Health::new(limits(&start.config.pausing));
    let shown: Family<Paused, Gauge> = start.metrics.register(
        "partner_betting_paused",
        "1 where the betting of a partner's players is paused, by who has it paused",
        Family::default(),
    );
    let speaker = Speaker { engine: start.engine.clone(), partners: start.partners.clone() };
    let stop = start.stop.clone();
    start.loops.tasks.spawn(async move {
        let mut before = BTreeSet::new();
        while !stop.is_cancelled() {
            let partners = speaker.partners.all();
            let owed = owed(&handles, E::PARTITIONS.lanes, &known(&partners)).await;
            metrics.show(SystemClock.now(), &owed, &mut before);
            for partner in partners {
                show(&shown, &partner.id, |by| partner.betting.is_paused_by(by));
                let lane = E::PARTITIONS.of_partner(&partner.id);
                let Some(here) = owed.iter().find(|one| one.partition == lane) else {
                    health.lost(&partner.id);
                    continue;
                };
                // One that its dispatcher has not heard of is owed nothing.
                let nothing = OwedOf::default();
                let of = here.partners.get(&partner.id).unwrap_or(&nothing);
                if let Some(epoch) = &of.epoch {
                    speaker.ledger(&partner, epoch).await;
                }
                let paused = partner.betting.is_paused_by(Pauser::Deliveries);
                let verdict = health.judge(SystemClock.now(), &partner.id, of, paused);
                if let Some(verdict) = verdict {
                    let (paused, reason) = (verdict.paused, verdict.reason);
                    speaker.pause(&partner.id, Pauser::Deliveries, paused, reason).await;
                }
            }
            rest(&stop).await;
        }
        Ok(())
    });
}

/// What dispatchers are told of the partners.
pub(super) fn known(partners: &[Partner]) -> OwedQuery {
    let rate = |partner: &Partner| Some((partner.id.clone(), partner.profile.calls_per_s?));
    let rates = partners.iter().filter_map(rate).collect();
    let state_calls = partners.iter().map(|one| (one.id.clone(), one.profile.state_calls));
    OwedQuery {
        restored: restored(partners),
        rates: Arc::new(rates),
        state_calls: Arc::new(state_calls.collect()),
    }
}

/// The epochs that were signed off as those of restored ledgers so lately that lost bets may still be told to them.
fn restored(partners: &[Partner]) -> Arc<BTreeMap<PartnerId, String>> {
    let now = SystemClock.now();
    let lately = |partner: &Partner| {
        let (ledger, said) = partner.ledger.as_ref()?;
        let lately = now.saturating_sub(said.said_at) < RECOVERED_MS;
        (ledger.restored && lately).then(|| (partner.id.clone(), ledger.epoch.clone()))
    };
    Arc::new(partners.iter().filter_map(lately).collect())
}

fn show(shown: &Family<Paused, Gauge>, partner: &PartnerId, paused: impl Fn(Pauser) -> bool) {
    for by in Pauser::ALL {
        let labels = Paused { partner: partner.to_string(), by: by.name() };
        shown.get_or_create(&labels).set(i64::from(paused(by)));
    }
}

/// How partners answer for stakes in this process. Cheap to clone; clones know the same.
#[derive(Clone)]
pub(super) struct Seen(Arc<Mutex<Stakes>>);

impl Seen {
    pub(super) fn lock(&self) -> MutexGuard<'_, Stakes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at how partners answer for stakes, pauses those that do not, and asks them how they are, until `stop`.
pub(super) fn stakes<E: Opened>(start: &mut Start<'_, E>) -> Seen {
    let seen = Seen(Arc::new(Mutex::new(Stakes::new(start.config.pausing.failed_stakes))));
    let options = AuthorizeOptions { http: ASK_POOL, ..AuthorizeOptions::STANDARD };
    let wallets = Arc::new(Authorize::new(start.partners.wallets(), options, SystemClock));
    let speaker = Speaker { engine: start.engine.clone(), partners: start.partners.clone() };
    let (looked, stop) = (seen.clone(), start.stop.clone());
    start.loops.tasks.spawn(async move {
        let mut asked = JoinSet::new();
        while !stop.is_cancelled() {
            for partner in speaker.partners.all() {
                let paused = partner.betting.is_paused_by(Pauser::Stakes);
                match looked.lock().due(SystemClock.now(), &partner.id, paused) {
                    Some(Due::Pause(reason)) => {
                        let (speaker, id) = (speaker.clone(), partner.id);
                        asked.spawn(async move {
                            speaker.pause(&id, Pauser::Stakes, true, reason).await;
                        });
                    }
                    Some(Due::Unreachable) => {
                        let text =
                            "no partner that was asked for a stake lately answered".to_owned();
                        telemetry::alarm(&Alarm { name: "wallets_unreachable", text });
                    }
                    Some(Due::Ask) => {
                        let (speaker, wallets) = (speaker.clone(), Arc::clone(&wallets));
                        let (looked, id) = (looked.clone(), partner.id);
                        asked.spawn(async move {
                            let well = wallets.is_well(&id).await;
                            if looked.lock().asked(SystemClock.now(), &id, well) {
                                let reason = "its wallet says that it is well".to_owned();
                                speaker.pause(&id, Pauser::Stakes, false, reason).await;
                            }
                        });
                    }
                    None => {}
                }
            }
            rest(&stop).await;
            // None takes longer than its call; one that panicked is asked again.
            while asked.try_join_next().is_some() {}
        }
        Ok(())
    });
    seen
}

async fn rest(stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = sleep(PERIOD) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::limits;
    use crate::config::{Config, Overrides};

    #[test]
    fn limits_are_those_of_the_configuration() {
        let mut pausing = Config::load(None, Vec::new(), Overrides::default()).unwrap().pausing;
        let of = limits(&pausing);
        assert_eq!((of.void_ms_max, of.failed_rounds_max), (60_000, 3));
        assert!(of.failed_units_max.is_empty());
        pausing.failed_units_max.insert("EUR".parse().unwrap(), 700);
        assert_eq!(limits(&pausing).failed_units_max, pausing.failed_units_max);
    }
}
