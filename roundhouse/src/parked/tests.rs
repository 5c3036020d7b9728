//! What is parked, in a data directory of its own.

use super::*;
use partner_dispatcher::retry::{HEADER_ASKED, HEADER_REPLAYED};
use runtime::{Append, Batch, Engine, RecordLog};
use schemas::Money;
use schemas::catalogue::{CASES, RETRY_5S};
use schemas::outgoing::{self, SettlementTopic};
use schemas::partners::{LedgerWord, Said};
use schemas::settlements::Reason;
use schemas::wire::CaseRecord;

const COUNTS: Partitions = Partitions::EMBEDDED;

fn settlement(partner: &str, bet: &str, revision: u32, target: Target) -> Settlement {
    Settlement {
        bet: bet.parse().unwrap(),
        revision,
        partner: partner.parse().unwrap(),
        player: "p".parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        target,
        previous: Target::Held,
        reason: Reason::Result,
        caused_at: 7,
    }
}

fn park(settlement: &Settlement, code: &str) -> Append {
    let partition = COUNTS.of_partner(&settlement.partner);
    let mut record = outgoing::settlement(settlement, SettlementTopic::Parked, partition).unwrap();
    record.headers.push((HEADER_ORIG_OFFSET, "41".to_owned()));
    record.headers.push((HEADER_CODE, code.to_owned()));
    record.into_parts().into()
}

/// The fact of a final answer.
fn answered(settlement: &Settlement) -> Fact {
    answered_at(settlement, 41)
}

fn answered_at(settlement: &Settlement, orig: u64) -> Fact {
    let record = DeliveryRecord {
        delivery_id: String::new(),
        bet_id: settlement.bet.to_string(),
        revision: i64::from(settlement.revision),
        round_id: settlement.bet.round_str().to_owned(),
        partner_id: settlement.partner.to_string(),
        ledger_epoch: "1".to_owned(),
        outcome: DeliveryOutcome::Applied,
        superseded_by: None,
        code: None,
    };
    let partition = COUNTS.of_partner(&settlement.partner);
    outgoing::delivered_fact(&record.identified(), partition, orig).unwrap().into_parts().into()
}

async fn records(engine: &impl Engine, topic: &'static str) -> Vec<Record> {
    let mut all = Vec::new();
    for partition in 0..engine.partitions(Topic(topic)) {
        let source = Source { topic: Topic(topic), partition };
        whole(engine, source, |record| all.push(record.clone())).await.unwrap();
    }
    all
}

fn ids(lot: &Lot) -> Vec<&str> {
    lot.owed.keys().map(String::as_str).collect()
}

async fn opened(directory: &std::path::Path) -> runtime::embedded::Embedded {
    let options = runtime::embedded::Options::new(directory);
    runtime::embedded::Embedded::open(&options, crate::engine::catalogue(), runtime::SystemClock)
        .unwrap()
}

#[tokio::test]
async fn of_two_parked_revisions_the_newer_is_owed_whatever_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let engine = opened(directory.path()).await;
    let [old, new] = [3, 4].map(|revision| {
        settlement("acme", "r_1:a", revision, Target::Settled(i64::from(revision)))
    });
    let parked = vec![park(&old, "collected_net"), park(&new, "correction_refused")];
    engine.append(parked).await.unwrap();
    for (code, found) in [
        (None, vec!["r_1:a/4"]),
        (Some("correction_refused"), vec!["r_1:a/4"]),
        (Some("collected_net"), vec![]),
    ] {
        let filter = Filter { code: code.map(str::to_owned), ..Filter::default() };
        assert_eq!(ids(&read(&engine, COUNTS, &filter).await.unwrap()), found);
    }
    engine.close().await;
}

#[tokio::test]
async fn an_answer_of_a_ledger_that_counts_no_more_closes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = opened(directory.path()).await;
    let lost = settlement("acme", "r_1:a", 3, Target::Settled(1));
    engine.append(vec![park(&lost, "unknown_bet")]).await.unwrap();
    let facts = vec![vec![answered(&lost)]];
    engine.apply(None, Batch { facts, ..Batch::default() }).await.unwrap();
    let owed = async || read(&engine, COUNTS, &Filter::default()).await.unwrap().owed.len();
    assert_eq!(owed().await, 0);
    for (epoch, still) in [("2", 1), ("1", 0)] {
        let ledger = LedgerWord { epoch: epoch.to_owned(), restored: true };
        let what = PartnerWord::Ledger(ledger);
        let by = Said { reason: String::new(), actor: "ann".to_owned(), said_at: 0 };
        let said = PartnerSaid { partner: lost.partner.clone(), what, by };
        let record = outgoing::partner(&said, engine.partitions(Topic(PARTNERS))).unwrap();
        engine.append(vec![record.into_parts().into()]).await.unwrap();
        assert_eq!(owed().await, still, "{epoch}");
    }
    engine.close().await;
}

#[tokio::test]
async fn what_was_confirmed_before_a_partner_asked_closes_nothing_of_what_is_parked_since() {
    let directory = tempfile::tempdir().unwrap();
    let engine = opened(directory.path()).await;
    let gone = settlement("acme", "r_1:a", 3, Target::Settled(1));
    let mut parked = park(&gone, "unknown_bet");
    parked.headers.push((HEADER_ASKED, "post_1".to_owned()));
    engine.append(vec![parked]).await.unwrap();
    let answer = async |orig| {
        let facts = vec![vec![answered_at(&gone, orig)]];
        engine.apply(None, Batch { facts, ..Batch::default() }).await.unwrap();
        read(&engine, COUNTS, &Filter::default()).await.unwrap()
    };
    let lot = answer(40).await;
    assert_eq!((ids(&lot), lot.answered), (vec!["r_1:a/3"], 0));
    let items: Vec<&Item> = lot.owed.values().collect();
    let why = Why { code: REPLAYED, what: "parked settlements", reason: "row is back" };
    let pace = Pace { per_second: 1_000.try_into().unwrap() };
    replay(&engine, COUNTS, &items, why, pace, |_| {}).await.unwrap();
    let tier = records(&engine, RETRY_5S).await;
    assert_eq!(tier[0].header(HEADER_ASKED), Some("post_1"), "or its old answer closes it unsent");
    let lot = answer(41).await;
    assert_eq!((ids(&lot), lot.answered), (vec![], 1));
    engine.close().await;
}

#[tokio::test]
async fn parked_is_what_has_no_final_answer_at_its_revision_or_above() {
    let directory = tempfile::tempdir().unwrap();
    let engine = opened(directory.path()).await;
    let won = Target::Settled(2_500);
    let poison = settlement("acme", "r_1:a", 3, won);
    let corrected = settlement("acme", "r_1:b", 3, won);
    let waits = settlement("bolt", "r_2:c", 4, Target::Voided);
    let twice = [park(&poison, "unknown_bet"), park(&poison, "retention_exhausted")];
    let others = [park(&corrected, "unknown_bet"), park(&waits, "revision_conflict")];
    engine.append(twice.into_iter().chain(others).collect()).await.unwrap();
    // A newer revision closes the older ones; an older one closes nothing.
    let newer = settlement("acme", "r_1:b", 4, Target::Settled(0));
    let older = settlement("bolt", "r_2:c", 3, won);
    let facts = vec![vec![answered(&newer), answered(&older)]];
    engine.apply(None, Batch { facts, ..Batch::default() }).await.unwrap();

    let lot = read(&engine, COUNTS, &Filter::default()).await.unwrap();
    assert_eq!((ids(&lot), lot.answered), (vec!["r_1:a/3", "r_2:c/4"], 1));
    let item = &lot.owed["r_1:a/3"];
    assert_eq!((item.times, item.code.as_str(), item.orig), (2, "retention_exhausted", 41));
    let sum = sums(lot.owed.values())[&("acme".parse().unwrap(), "EUR".parse().unwrap())];
    assert_eq!((sum.count, sum.stake, sum.payout, sum.exponent), (1, 1_000, 2_500, 2));

    for (filter, found) in [
        (Filter { partner: Some("bolt".parse().unwrap()), ..Filter::default() }, "r_2:c/4"),
        (Filter { round: Some("r_1".parse().unwrap()), ..Filter::default() }, "r_1:a/3"),
        (Filter { code: Some(CONFLICT.to_owned()), ..Filter::default() }, "r_2:c/4"),
    ] {
        let lot = read(&engine, COUNTS, &filter).await.unwrap();
        assert_eq!(ids(&lot), [found]);
    }

    let mut told = Vec::new();
    let items: Vec<&Item> = lot.owed.values().collect();
    let why = Why { code: REPLAYED, what: "parked settlements", reason: "row was restored" };
    let pace = Pace { per_second: 1_000.try_into().unwrap() };
    let done = replay(&engine, COUNTS, &items, why, pace, |n| told.push(n)).await;
    assert_eq!((done.unwrap().count, told), (2, vec![2]));
    let tier = records(&engine, RETRY_5S).await;
    let of = |id: &str| tier.iter().find(|record| record.key == id.as_bytes()).unwrap();
    let record = of("r_1:a/3");
    assert_eq!(Settlement::decode(&record.value).unwrap(), poison, "the same content");
    assert_eq!(record.header(HEADER_ORIG_OFFSET), Some("41"));
    assert_eq!(record.header(HEADER_REPLAYED), Some("true"));
    assert_eq!(record.header(HEADER_ASKED), None);
    let cases = records(&engine, CASES).await;
    let case = |record: &Record| frame::decode::<CaseRecord>(&record.value).unwrap();
    assert_eq!(cases.len(), 2, "one for each partner");
    assert!(cases.iter().all(|record| case(record).text.ends_with("row was restored")));

    // Answered: it is parked no more.
    let facts = vec![vec![answered(&poison)]];
    engine.apply(None, Batch { facts, ..Batch::default() }).await.unwrap();
    let lot = read(&engine, COUNTS, &Filter::default()).await.unwrap();
    assert_eq!((ids(&lot), lot.answered), (vec!["r_2:c/4"], 2));
    engine.close().await;
}
