//! H1-H10, H14-H16, H18, H27, H28: what a settler must know, and what it must publish.

use crate::lane::{BETS_0, Lane, bet};
use crate::stage::{Player, holds_without};
use planted::Bug;
use runtime::{Append, Partitions};
use schemas::catalogue::BETS;
use schemas::decisions::{DecisionSaid, Verdict};
use schemas::{facts, outgoing};

#[test]
fn h01_offset_does_not_pass_an_undecided_intent() {
    holds_without(Bug::OffsetPastIntent, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.run();
        lane.approved(&b);
        lane.takeover();
        lane.closed("r1");
        lane.version("r1", 1, "first");
        lane.run();
        lane.verify()
    });
}

/// The stored offset lies between an intent and its decision, because a later intent is undecided.
#[test]
fn h01_a_decision_above_the_stored_offset_is_kept() {
    let (mut lane, a, b) = (Lane::with_round(), bet("r1", "a", 1_000), bet("r1", "b", 500));
    lane.intent(&a);
    lane.intent(&b);
    lane.approved(&a);
    lane.run();
    lane.takeover();
    lane.approved(&b);
    lane.closed("r1");
    lane.version("r1", 1, "first");
    lane.run();
    assert_eq!(lane.verify(), Ok(()));
}

#[test]
fn h02_accepted_bets_survive_a_takeover() {
    holds_without(Bug::AcceptedForgotten, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.approved(&b);
        lane.run();
        lane.takeover();
        lane.closed("r1");
        lane.version("r1", 1, "first");
        lane.run();
        lane.verify()
    });
}

#[test]
fn h03_a_cancel_survives_a_takeover() {
    holds_without(Bug::CancelledForgotten, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.approved(&b);
        lane.cancel(&b);
        lane.run();
        lane.takeover();
        lane.closed("r1");
        lane.version("r1", 1, "second");
        lane.version("r1", 2, "first");
        lane.run();
        lane.verify()
    });
}

#[test]
fn h04_a_rejection_survives_a_takeover_and_a_retry() {
    holds_without(Bug::RejectedForgotten, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.ticks(6);
        lane.run();
        lane.takeover();
        lane.intent(&b);
        lane.approved(&b);
        lane.run();
        lane.verify()
    });
}

#[test]
fn h05_the_cut_off_survives_a_takeover() {
    holds_without(Bug::MarkersForgotten, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.closed("r1");
        lane.run();
        lane.takeover();
        lane.intent(&b);
        lane.approved(&b);
        lane.run();
        let late = lane.decisions().iter().all(|said| match said {
            DecisionSaid::Decided(decision) => {
                decision.verdict == Verdict::Rejected(schemas::decisions::RejectReason::Closed)
            }
            DecisionSaid::CancelRefused(_) => false,
        });
        lane.verify()?;
        if late { Ok(()) } else { Err("not rejected as closed".to_owned()) }
    });
}

#[test]
fn h06_a_fact_that_stands_does_not_mean_that_it_was_published() {
    holds_without(Bug::FactMeansDone, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.run();
        lane.declined(&b);
        // The fact of the decision, and nothing behind it.
        lane.run_and_die_after(1);
        lane.takeover();
        lane.verify()
    });
}

#[test]
fn h06_facts_first_then_records_then_the_offset() {
    let script = || {
        for parts in 1..=4 {
            let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
            lane.intent(&b);
            lane.run();
            lane.ticks(5);
            lane.run();
            lane.ticks(1);
            lane.run_and_die_after(parts);
            let told = !lane.decisions().is_empty();
            let decided = lane.stage.store.all().any(|(key, _)| key.kind == facts::REJECTED);
            if told && !decided {
                return Err(format!("told without a fact after {parts} parts"));
            }
            // The approval comes late: the next owner decides as the first did.
            lane.approved(&b);
            lane.takeover();
            lane.verify()?;
        }
        Ok(())
    };
    holds_without(Bug::PublishBeforeFact, script);
    holds_without(Bug::OffsetBeforeEffects, script);
}

#[test]
fn h07_a_partition_that_comes_back_is_read_with_a_fresh_memory() {
    holds_without(Bug::MemoryKept, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        let mut first: Partitions<Player<settler::Settler>> = Partitions::default();
        let fresh = Player::new(lane.settler(0));
        lane.stage.run(first.assign(0, || fresh));
        first.revoke(0);
        lane.intent(&b);
        lane.approved(&b);
        lane.run();
        lane.closed("r1");
        lane.version("r1", 1, "first");
        let from = lane.stage.stored(BETS_0);
        let fresh = Player::new(lane.settler(from));
        let owner = first.assign(0, || fresh);
        owner.readings = vec![(BETS_0, from)];
        lane.stage.run(owner);
        lane.verify()
    });
}

#[test]
fn h08_a_late_record_of_a_round_out_of_memory_changes_nothing() {
    holds_without(Bug::AcceptedForgotten, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.rounds_kept = 1;
        lane.intent(&b);
        lane.approved(&b);
        lane.closed("r1");
        lane.version("r1", 1, "first");
        for round in ["r2", "r3", "r4"] {
            lane.opened(round);
            lane.closed(round);
            lane.version(round, 1, "first");
        }
        lane.run();
        lane.intent(&b);
        lane.approved(&b);
        lane.run();
        lane.verify()
    });
}

#[test]
fn h09_a_fact_that_is_missing_later_is_noticed_by_the_tally() {
    let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
    lane.intent(&b);
    lane.approved(&b);
    lane.closed("r1");
    lane.version("r1", 1, "first");
    lane.run();
    let before = lane.settlements().len();
    let mut thinned = pipeline_tests::world::store::Store::default();
    for (key, body) in lane.stage.store.all().filter(|(key, _)| key.kind != facts::ACCEPTED) {
        thinned.write(runtime::Fact { key: key.clone(), body: body.clone() });
    }
    lane.stage.store = thinned;
    lane.version("r1", 2, "second");
    lane.takeover();
    assert!(lane.all_alarms().contains(&"tally_differs"), "{:?}", lane.all_alarms());
    assert_eq!(lane.settlements().len(), before, "a correction of a round that is not whole");
}

#[test]
fn h10_rules_that_this_build_lacks_stop_the_partition() {
    let (mut lane, mut b) = (Lane::with_round(), bet("r1", "b", 1_000));
    lane.run();
    let stored = lane.stage.stored(BETS_0);
    b.rules_version = settlement::RULES_VERSION + 1;
    lane.intent(&b);
    lane.approved(&b);
    lane.ticks(7);
    lane.run();
    assert_eq!(lane.all_alarms(), ["partition_stopped"]);
    assert_eq!(lane.stage.stored(BETS_0), stored);
    assert_eq!(lane.decisions(), []);
}

#[test]
fn h14_a_bet_has_revision_2_or_3_and_above_never_both() {
    holds_without(Bug::CancelledForgotten, || {
        let (mut lane, a, b) = (Lane::with_round(), bet("r1", "a", 1_000), bet("r1", "b", 1_000));
        for bet in [&a, &b] {
            lane.intent(bet);
            lane.approved(bet);
        }
        lane.cancel(&a);
        lane.run();
        lane.closed("r1");
        lane.version("r1", 1, "first");
        lane.version("r1", 2, "voided");
        lane.takeover();
        let revisions = |id: &schemas::BetId| -> Vec<u32> {
            let of = lane.settlements().into_iter().filter(|s| s.bet == *id);
            of.map(|settlement| settlement.revision).collect()
        };
        match (revisions(&a.id).as_slice(), revisions(&b.id).as_slice()) {
            ([2], [3, 4]) => lane.verify(),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn h15_a_declined_bet_is_voided_all_the_same() {
    holds_without(Bug::DeclineNotVoided, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.declined(&b);
        lane.approved(&b);
        lane.run();
        lane.verify()
    });
}

#[test]
fn h16_an_answer_about_another_content_is_ignored() {
    holds_without(Bug::HashIgnored, || {
        let (mut lane, ten, fifty) =
            (Lane::with_round(), bet("r1", "b", 1_000), bet("r1", "b", 5_000));
        assert_eq!(ten.id, fifty.id);
        lane.intent(&ten);
        lane.intent(&fifty);
        lane.approved(&fifty);
        lane.ticks(6);
        lane.run();
        lane.verify()
    });
}

#[test]
fn h18_each_version_is_compared_with_the_one_before_it() {
    holds_without(Bug::ComparedWithFirst, || {
        let (mut lane, b) = (Lane::with_round(), bet("r1", "b", 1_000));
        lane.intent(&b);
        lane.approved(&b);
        lane.closed("r1");
        for (version, winner) in [(1, "first"), (2, "second"), (3, "first")] {
            lane.version("r1", version, winner);
        }
        lane.run();
        lane.verify()
    });
}

#[test]
fn h27_an_unreadable_record_freezes_its_bet_and_nothing_else() {
    let (mut lane, a, b) = (Lane::with_round(), bet("r1", "a", 1_000), bet("r1", "b", 500));
    lane.intent(&a);
    lane.intent(&b);
    lane.approved(&a);
    let event = schemas::bets::BetEvent {
        round: Some("r1".parse().unwrap()),
        said_at: 1_000,
        said: schemas::bets::BetSaid::Answer {
            bet: b.id.clone(),
            partner: b.partner.clone(),
            content: b.content_hash(),
            answer: schemas::bets::HoldAnswer::Approved,
        },
    };
    let (topic, partition, key, headers, _) = outgoing::bet(&event, 0).unwrap().into_parts();
    assert_eq!(topic, BETS);
    let garbage = vec![0, 0, 0, 0, 2, 255, 255];
    lane.stage.append(Append::from((topic, partition, key, headers, garbage)));
    lane.closed("r1");
    lane.version("r1", 1, "first");
    lane.run();
    let settled: Vec<_> = lane.settlements().into_iter().map(|s| s.bet).collect();
    assert_eq!(
        settled,
        std::slice::from_ref(&a.id),
        "the other bet is settled, the frozen one is not"
    );
    assert!(lane.all_alarms().contains(&"record_unreadable"));
    let kinds: Vec<&str> = lane.stage.store.all().map(|(key, _)| key.kind).collect();
    assert!(kinds.contains(&facts::UNREADABLE) && kinds.contains(&facts::FREEZE));
    assert_eq!(lane.stage.stored(BETS_0), lane.stage.log.end(BETS_0), "the offset goes on");
    // A new owner knows it too.
    lane.version("r1", 2, "second");
    lane.takeover();
    let bets: std::collections::BTreeSet<_> =
        lane.settlements().into_iter().map(|s| s.bet).collect();
    assert_eq!(bets.len(), 1);
}

/// `bets` may be replayed from any offset at which no intent is undecided: everything above it is
/// published again, the same.
#[test]
fn h28_a_replay_from_a_storable_offset_publishes_the_same_again() {
    holds_without(Bug::FactMeansDone, || {
        let (mut lane, a, b, c) =
            (Lane::with_round(), bet("r1", "a", 1_000), bet("r1", "b", 500), bet("r1", "c", 10));
        lane.intent(&a);
        lane.approved(&a);
        lane.intent(&b);
        lane.intent(&c);
        lane.declined(&b);
        lane.approved(&c);
        lane.cancel(&a);
        lane.closed("r1");
        lane.version("r1", 1, "first");
        lane.version("r1", 2, "second");
        lane.run();
        lane.verify()?;
        // Each settlement with the offset of the record that caused it.
        let due = [(5, &b, 2), (7, &a, 2), (9, &c, 3), (10, &c, 4)];
        // The offsets left out lie between an intent and its decision.
        for from in [0, 1, 3, 7, 8, 9, 10] {
            let seen = lane.settlements().len();
            lane.takeover_at(from);
            lane.verify()?;
            let again: Vec<_> = lane.settlements().split_off(seen);
            for (_, bet, revision) in due.iter().filter(|(at, ..)| from <= *at) {
                if !again.iter().any(|s| s.bet == bet.id && s.revision == *revision) {
                    return Err(format!("from {from}: revision {revision} is not said again"));
                }
            }
        }
        Ok(())
    });
}
