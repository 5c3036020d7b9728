//! Which settlements are sent again, from a log of its own.

use super::*;
use partner_dispatcher::retry::HEADER_CODE;
use runtime::embedded::{Embedded, Options};
use runtime::{Clock, RecordLog};
use schemas::Money;
use schemas::outgoing::SettlementTopic;
use schemas::settlements::{Reason, Target};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const COUNTS: Partitions = Partitions::EMBEDDED;

/// A clock that a test sets.
#[derive(Clone, Debug)]
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Millis {
        self.0.load(Ordering::Relaxed)
    }
}

fn settled(bet: &str, revision: u32) -> Settlement {
    Settlement {
        bet: bet.parse().unwrap(),
        revision,
        partner: "acme".parse().unwrap(),
        player: "p".parse().unwrap(),
        stake: Money::new(1_000, "EUR".parse().unwrap(), 2).unwrap(),
        target: Target::Settled(i64::from(revision)),
        previous: Target::Held,
        reason: Reason::Result,
        caused_at: 7,
    }
}

fn said(settlement: &Settlement) -> Append {
    let partition = COUNTS.of_partner(&settlement.partner);
    let topic = SettlementTopic::Settlements;
    outgoing::settlement(settlement, topic, partition).unwrap().into_parts().into()
}

fn answered(partner: &str, bet: &str, epoch: &str, outcome: DeliveryOutcome) -> Append {
    let record = DeliveryRecord {
        delivery_id: String::new(),
        bet_id: bet.to_owned(),
        revision: 3,
        round_id: "r".to_owned(),
        partner_id: partner.to_owned(),
        ledger_epoch: epoch.to_owned(),
        outcome,
        superseded_by: None,
        code: None,
    };
    let partition = COUNTS.of_partner(&"acme".parse().unwrap());
    outgoing::delivery(&record.identified(), partition).unwrap().into_parts().into()
}

#[tokio::test]
async fn the_newest_of_what_was_confirmed_since_in_another_ledger_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let time = Hand(Arc::new(AtomicI64::new(0)));
    let options = Options::new(directory.path());
    let engine = Embedded::open(&options, crate::engine::catalogue(), time.clone()).unwrap();
    let at = |ms| time.0.store(ms, Ordering::Relaxed);
    let applied = |bet, epoch| answered("acme", bet, epoch, DeliveryOutcome::Applied);
    let (since, acme) = (10_000_000, "acme".parse().unwrap());
    let unknown = |bet| {
        let topic = SettlementTopic::Parked;
        let mut record = outgoing::settlement(&settled(bet, 3), topic, COUNTS.of_partner(&acme));
        record.as_mut().unwrap().headers.push((HEADER_CODE, "unknown_bet".to_owned()));
        Append::from(record.unwrap().into_parts())
    };
    at(since - MARGIN_MS - 1);
    let by_hand = [said(&settled("r:by-hand", 3)), unknown("r:by-hand")];
    let old = [said(&settled("r:old", 3)), applied("r:old", "1")];
    engine.append(by_hand.into_iter().chain(old).collect()).await.unwrap();
    at(since - MARGIN_MS);
    engine.append(vec![said(&settled("r:hold", 3)), unknown("r:hold")]).await.unwrap();
    let late = [settled("r:late", 3), settled("r:late", 5), settled("r:late", 4)];
    engine.append(late.iter().map(said).collect()).await.unwrap();
    engine
        .append(vec![
            applied("r:late", "1"),
            applied("r:gone", "1"),
            said(&settled("r:now", 3)),
            applied("r:now", "2"),
            said(&settled("r:parked", 3)),
            answered("acme", "r:parked", "1", DeliveryOutcome::Parked),
            said(&settled("r:other", 3)),
            answered("bolt", "r:other", "1", DeliveryOutcome::Applied),
            said(&settled("r:owed", 3)),
        ])
        .await
        .unwrap();
    let restored = Restored { partner: "acme".parse().unwrap(), epoch: "2".to_owned(), since };
    let lost = read(&engine, COUNTS, &restored).await.unwrap();
    let ids: Vec<String> = lost.items.values().map(|item| item.settlement.id()).collect();
    assert_eq!(
        ids,
        ["r:hold/3", "r:late/5"],
        "of r:hold the stake was lost, and it was told since"
    );
    assert_eq!((lost.gone, lost.unreadable), (1, 0));

    let refused = Restored { epoch: "no epoch".to_owned(), ..restored.clone() };
    assert!(sign_off(&engine, &refused, ("why", "ann"), since).await.is_err());
    sign_off(&engine, &restored, ("why", "ann"), since).await.unwrap();
    let mut words = Vec::new();
    for partition in 0..engine.partitions(Topic(PARTNERS)) {
        let source = Source { topic: Topic(PARTNERS), partition };
        let read = |record: &Record| words.extend(PartnerSaid::decode(&record.value).unwrap());
        whole(&engine, source, read).await.unwrap();
    }
    let word = LedgerWord { epoch: "2".to_owned(), restored: true };
    assert_eq!(words.len(), 1);
    assert_eq!((&words[0].what, words[0].by.actor.as_str()), (&PartnerWord::Ledger(word), "ann"));
    engine.close().await;
}
