//! H13, H17, H19, H25, H26: the edges of the house: partition counts, players, partners, the disk.

use crate::lane::bet;
use crate::stage::{Player, Stage, holds_without};
use ingest::placing::{Ask, Limits, NotTaken, Place, Placing, PlacingOptions, SessionToken, Told};
use partner_dispatcher::{Answer, Dispatcher, DispatcherOptions};
use partner_kit::register::{ClawBack, LedgerOptions, Register};
use pipeline_tests::world::cast::{currencies, partners, tails};
use planted::Bug;
use runtime::Catalogue;
use runtime::embedded::{Embedded, OpenError, Options};
use runtime::http::HttpAnswer;
use runtime::{Append, Effect, EngineError, Input, Machine, Source, SystemClock, Topic};
use schemas::catalogue::{PartitionedBy, ROUNDS, SETTLEMENTS, TOPICS};
use schemas::contract::{AuthorizeRequest, StateResponse};
use schemas::facts::HEADER_ASKED;
use schemas::outgoing::{self, Partitions, SettlementTopic};
use schemas::rounds::{Offer, Opened, RoundEvent, RoundSaid, Verdict};
use schemas::settlements::{Reason, Settlement, Target};
use schemas::wire::RoundKind;
use schemas::{Odds, RoundId};

const PARTITIONS: Partitions = Partitions { rounds: 1, lanes: 1, cases: 1 };

/// A lane is in the partition of the same number of every topic that carries it, for ever.
#[test]
fn h13_topics_of_a_lane_have_equal_and_lasting_partition_counts() {
    let lanes = TOPICS.iter().filter(|topic| topic.partitioned_by == PartitionedBy::Lane);
    for topic in lanes {
        assert_eq!(topic.partitions_embedded, Partitions::EMBEDDED.lanes, "{}", topic.name);
        assert_eq!(topic.partitions_cluster, 24, "{}", topic.name);
    }
    // Kafka's own values: another hash would send an answer to another judge than its intent.
    for (key, hash) in [("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107_i32)] {
        let positive = u32::try_from(hash & 0x7fff_ffff).unwrap();
        assert_eq!(schemas::catalogue::partition_of(key, 0x8000_0000), positive, "{key}");
    }
}

/// A file with rounds open is not opened with another number of partitions.
#[test]
fn h13_a_data_directory_keeps_its_partition_counts() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open_engine(directory.path(), 2).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(engine.close());
    drop(engine);
    let refused = open_engine(directory.path(), 3);
    let refused = refused.map(|_| "opened");
    let right = matches!(refused, Err(OpenError::Partitions { recorded: 2, given: 3, .. }));
    assert!(right, "{refused:?}");
}

fn placing() -> Placing {
    Placing::new(PlacingOptions {
        partitions: PARTITIONS,
        tails: tails(PARTITIONS),
        partners: partners(),
        limits: Limits::STANDARD,
    })
}

/// What the herald admitted, with its verdicts.
fn admitted(stage: &mut Stage, said: Vec<RoundSaid>) {
    let round: RoundId = "r1".parse().unwrap();
    for said in said {
        let event = |said| RoundEvent {
            round: round.clone(),
            request: "request".parse().unwrap(),
            actor: "operator".to_owned(),
            said_at: 1_000,
            said,
        };
        let kind: RoundKind = event(said.clone()).kind();
        let append = |event: &RoundEvent| {
            Append::from(outgoing::round(event, PARTITIONS).unwrap().into_parts())
        };
        let judged = stage.append(append(&event(said)));
        let verdict = Verdict { judged, kind, refused: None, number: 0, version: 0 };
        stage.append(append(&event(RoundSaid::Verdict(verdict))));
    }
}

fn opened() -> RoundSaid {
    let offer = Offer { selection: "first".parse().unwrap(), odds: Odds::new(250).unwrap() };
    RoundSaid::Opened(Opened {
        game: "two_way".to_owned(),
        rules_version: settlement::RULES_VERSION,
        offers: vec![offer],
        closes_at: 20_000,
        grace_ms: 1_500,
    })
}

fn place() -> Ask {
    let bet = bet("r1", "b", 1_000);
    Ask::Place(Place {
        partner: bet.partner,
        player: bet.player,
        client_ref: bet.client_ref,
        round: "r1".parse().unwrap(),
        selection: bet.selection,
        stake: bet.stake,
        odds: bet.odds,
        session_token: SessionToken::new("token".to_owned()),
    })
}

/// An instance past `closing` cannot know what another one wrote: it never says `rejected`.
#[test]
fn h17_a_refusal_without_the_log_is_not_final_and_writes_nothing() {
    let mut stage = Stage { now: 2_000, ..Stage::default() };
    admitted(&mut stage, vec![opened(), RoundSaid::Closing]);
    let mut player = Player::new(placing());
    stage.run(&mut player);
    stage.give(&mut player, Input::Request { token: 7, request: place() });
    let [Effect::Reply { token: 7, reply: Told::NotTaken { code, .. } }] = player.asides.as_slice()
    else {
        panic!("{:?}", player.asides);
    };
    assert_eq!(*code, NotTaken::NotBetting);
    let bets = Source { topic: Topic(schemas::catalogue::BETS), partition: 0 };
    assert_eq!(stage.log.end(bets), 0);
}

/// No partner is asked for a stake before the intent is acknowledged, nor if it never is (R22).
#[test]
fn h26_nobody_is_asked_for_a_stake_without_an_acknowledged_intent() {
    holds_without(Bug::AskedBeforeIntent, || {
        let mut stage = Stage { now: 2_000, ..Stage::default() };
        admitted(&mut stage, vec![opened()]);
        let mut player = Player::new(placing());
        stage.run(&mut player);
        let mut placing = player.machine;
        let mut effects = placing.handle(2_000, Input::Request { token: 7, request: place() });
        let intent = effects.iter().find_map(|effect| match effect {
            Effect::Apply { token, .. } => Some(*token),
            Effect::Load { .. }
            | Effect::Peek { .. }
            | Effect::Call { .. }
            | Effect::Timer { .. }
            | Effect::Reply { .. }
            | Effect::Alarm(_) => None,
        });
        let token = intent.ok_or("no intent was written")?;
        let error = EngineError::Unavailable("no acknowledgement".to_owned());
        effects.extend(placing.handle(3_000, Input::Failed { token, error }));
        let told = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Reply { reply: Told::NotTaken { .. }, .. }));
        let asked = effects.iter().any(|effect| matches!(effect, Effect::Call { .. }));
        match (told, asked) {
            (true, false) => Ok(()),
            (_, _) => Err(format!("told {told}, asked {asked}")),
        }
    });
}

fn settlement(revision: u32, payout: i64) -> Settlement {
    let target = Target::Settled(payout);
    let bet = bet("r1", "b", 1_000);
    Settlement::of(&bet, revision, Target::Held, target, Reason::Result, 1_000)
}

fn wallet() -> Register {
    let bet = bet("r1", "b", 1_000);
    let mut register = Register::new(LedgerOptions {
        partner: bet.partner.clone(),
        currencies: currencies(),
        opening_units: 100_000,
        claw_back: ClawBack::Negative,
        ledger_epoch: 1,
    });
    let request = AuthorizeRequest {
        op: "authorize".to_owned(),
        message_id: format!("{}:1", bet.id),
        bet_id: bet.id.to_string(),
        revision: 1,
        round_id: "r1".to_owned(),
        partner_id: bet.partner.to_string(),
        partner_player_id: bet.player.to_string(),
        session_token: "token".to_owned(),
        stake: bet.stake.into(),
        selection: None,
        placed_at: schemas::contract::timestamp(1_000),
        expires_at: schemas::contract::timestamp(5_000),
    };
    let (held, _) = register.authorize(2_000, &request);
    held.unwrap();
    register
}

fn dispatcher() -> Player<Dispatcher> {
    Player::new(Dispatcher::new(DispatcherOptions {
        partition: 0,
        from: 0,
        from_tiers: [0; schemas::catalogue::TIERS],
        partitions: PARTITIONS,
        limits: partner_dispatcher::Limits::PRODUCTION,
        seed: 1,
        known: Default::default(),
    }))
}

/// The owner publishes 3 and 4, then a zombie publishes 3 again: newest is the highest revision.
#[test]
fn h19_newest_is_the_highest_revision_never_the_last_arrival() {
    holds_without(Bug::LastArrivalNewest, || {
        let source = Source { topic: Topic(SETTLEMENTS), partition: 0 };
        let mut stage = Stage { now: 2_000, ..Stage::default() };
        for (revision, payout) in [(3, 2_500), (4, 0), (3, 2_500)] {
            let topic = SettlementTopic::Settlements;
            let outgoing = outgoing::settlement(&settlement(revision, payout), topic, 0).unwrap();
            stage.append(Append::from(outgoing.into_parts()));
        }
        let mut player = dispatcher();
        let mut register = wallet();
        let all = stage.log.all(source).to_vec();
        player.readings[0].1 = 3;
        let records = all[..2].to_vec();
        stage.give(&mut player, Input::Records { source, records, end: 2 });
        answer_calls(&mut stage, &mut player, None);
        let records = all[2..].to_vec();
        stage.give(&mut player, Input::Records { source, records, end: 3 });
        for _ in 0..8 {
            answer_calls(&mut stage, &mut player, Some(&mut register));
            stage.let_time_pass(&mut player);
        }
        let bet = bet("r1", "b", 1_000).id;
        let (net, stored) = (register.net_of(bet.as_str()), stage.stored(source));
        match (net, stored) {
            (-1_000, 3) => Ok(()),
            (_, _) => Err(format!("the partner moved {net}, the offset is {stored}")),
        }
    });
}

/// A partner that lost a movement, and names no other ledger, asks to be told again: by then its wallet fails once more,
/// and what it had confirmed before must not stand for an answer. Who lost nothing is told the same, and moves nothing.
#[test]
fn what_a_partner_asks_for_is_told_again_and_moves_what_is_missing() {
    let source = Source { topic: Topic(SETTLEMENTS), partition: 0 };
    let bet = bet("r1", "b", 1_000);
    let settled = |revision, previous, payout| {
        let target = Target::Settled(payout);
        Settlement::of(&bet, revision, previous, target, Reason::Result, 0)
    };
    let first = settled(3, Target::Held, 2_500);
    let newest = settled(4, Target::Settled(2_500), 4_000);
    let say = |stage: &mut Stage, one: &Settlement, asked: Option<&str>| {
        let mut said = outgoing::settlement(one, SettlementTopic::Settlements, 0).unwrap();
        said.headers.extend(asked.map(|request| (HEADER_ASKED, request.to_owned())));
        stage.append(Append::from(said.into_parts()));
    };
    for loses in [true, false] {
        let mut stage = Stage { now: 2_000, ..Stage::default() };
        let mut player = dispatcher();
        let mut register = wallet();
        say(&mut stage, &first, None);
        stage.run(&mut player);
        answer_calls(&mut stage, &mut player, Some(&mut register));
        let backup = register.clone();
        say(&mut stage, &newest, None);
        stage.run(&mut player);
        answer_calls(&mut stage, &mut player, Some(&mut register));
        assert_eq!(register.net_of(bet.id.as_str()), 3_000);
        if loses {
            register = backup;
        }
        let before = register.seq();
        say(&mut stage, &newest, Some("post_1"));
        stage.run(&mut player);
        answer_calls(&mut stage, &mut player, None);
        for _ in 0..8 {
            stage.let_time_pass(&mut player);
            answer_calls(&mut stage, &mut player, Some(&mut register));
        }
        assert_eq!(register.net_of(bet.id.as_str()), 3_000, "loses: {loses}");
        assert_eq!(register.seq() - before, u64::from(loses));
        assert_eq!(stage.stored(source), 3);
    }
}

/// Answers every call from the register; without one, with 500.
fn answer_calls(
    stage: &mut Stage,
    player: &mut Player<Dispatcher>,
    mut register: Option<&mut Register>,
) {
    let (calls, others): (Vec<_>, Vec<_>) = std::mem::take(&mut player.asides)
        .into_iter()
        .partition(|effect| matches!(effect, Effect::Call { .. }));
    player.asides = others;
    for effect in calls {
        let Effect::Call { token, call } = effect else { continue };
        let Some(register) = register.as_deref_mut() else {
            let answer = HttpAnswer { status: 500, retry_after_ms: None, body: "".into() };
            let answer = Answer::from(&Ok(answer));
            stage.give(player, Input::Answered { token, answer });
            continue;
        };
        let results = call.request.items.iter().map(|item| register.state(item).0).collect();
        let chunk_id = call.request.chunk_id.clone();
        let response = StateResponse { chunk_id, ledger_epoch: "1".to_owned(), results };
        let body = serde_json::to_vec(&response).unwrap().into();
        let answer = HttpAnswer { status: 200, retry_after_ms: None, body };
        let answer = Answer::from(&Ok(answer));
        stage.give(player, Input::Answered { token, answer });
    }
}

fn open_engine(directory: &std::path::Path, rounds: u32) -> Result<Embedded, OpenError> {
    let catalogue = Catalogue::new([(Topic(ROUNDS), rounds)], []);
    Embedded::open(&Options::new(directory), catalogue, SystemClock)
}

/// A record that a reader of the embedded engine has seen is in the file that a crash would leave at
/// that moment. That it is synced by then is shown on a disk that drops unsynced writes, in `runtime`.
#[test]
fn h25_a_record_is_seen_only_when_it_is_in_the_file() {
    use runtime::{Reader, RecordLog};
    let source = Source { topic: Topic(ROUNDS), partition: 0 };
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (whole, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = open_engine(whole.path(), 1).unwrap();
    tokio.block_on(async {
        let mut reader = engine.reader(source, 0);
        let append = Append {
            topic: source.topic,
            partition: 0,
            key: "k".into(),
            headers: Vec::new(),
            value: "v".into(),
        };
        let writing = tokio::spawn({
            let engine = engine.clone();
            async move { engine.append(vec![append]).await }
        });
        let (records, _) = reader.next(10).await.unwrap();
        assert_eq!(records.len(), 1);
        for file in std::fs::read_dir(whole.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), left.path().join(file.file_name())).unwrap();
        }
        writing.await.unwrap().unwrap();
        let crashed = open_engine(left.path(), 1).unwrap();
        assert_eq!(crashed.range(source).await.unwrap(), (0, 1));
    });
}
