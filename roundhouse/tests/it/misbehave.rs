//! Every misbehaviour of the catalogue at once, each at a partner of its own, all of them at one more, and at another one
//! all that move no wrong money: nobody else waits, it is told as the catalogue says, and once it is over every cent is
//! where it belongs; but for partners that move wrong money, who are caught.

use crate::admin::get;
use crate::closing::{cases, same};
use crate::house::{EXE, Ground, House, OPERATOR_KEY, Street, WAIT_MAX, books};
use http::Method;
use partner_kit::faults::FaultSettings;
use partner_kit::misbehaviours::{MisbehaveSettings, Misbehaviour, Money};
use roundhouse::audit::audit;
use roundhouse::audit::books::{Books, Movement};
use roundhouse::config::Retries;
use roundhouse::parked::{self, Filter};
use roundhouse::rig::api::{Api, die_odds};
use roundhouse::rig::players::{Wager, place_all};
use schemas::settlements::Target;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(whatever_partners_do_is_recognised_and_settled);

/// Settled, and then corrected.
const CORRECTED: &str = "r";
/// Settled once.
const SETTLED: &str = "s";
/// Bets of each partner in each round: with every result half of them win.
const BETS: usize = 8;
const SELECTIONS: [&str; 4] = ["odd", "even", "low", "high"];
/// Misbehaved in some of the calls, and in all of them, per mille.
const SOME: u32 = 300;
const ALL: u32 = 1_000;
/// Of each of many at one partner, where alone it would be `SOME` or `ALL`: the first by number comes first.
const SOME_OF_EACH: u32 = 15;
const ALL_OF_EACH: u32 = 60;
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// A wallet that behaves has answered by then, also on a slow machine; silence lasts longer.
const CALL_MS_MAX: u64 = 3_000;
const SILENCE_MS: u64 = 3_500;
/// While corrections are told.
const AMID: Duration = Duration::from_secs(2);
/// When stakes are held that were asked for before their voids: behind the last void.
const LATE_MS: u64 = 12_000;
/// A day of retries in a few seconds.
const RETRIES: Retries = Retries {
    tier_wait_ms: [200, 300, 400, 500, 600],
    last_tier_after_ms: 60_000,
    park_after_ms: 600_000,
};

/// What a partner does.
#[derive(Clone, Copy)]
enum Does {
    Only(Misbehaviour),
    /// All that move no wrong money by themselves.
    NoWrongMoney,
    Everything,
}

/// The partners in order, each with what it does.
struct Crowd {
    partners: Vec<(String, Does)>,
    wallets: BTreeMap<String, Api>,
}

impl Crowd {
    fn of(street: &Street) -> Self {
        let mixed = [Does::NoWrongMoney, Does::Everything];
        let doings = Misbehaviour::ALL.into_iter().map(Does::Only).chain(mixed);
        let wallet =
            |(name, url): (&String, &String)| (name.clone(), Api::new(url.clone(), String::new()));
        Self {
            partners: street.keys.keys().cloned().zip(doings).collect(),
            wallets: street.wallets.urls.iter().map(wallet).collect(),
        }
    }

    /// Those that do one thing, with what becomes of the money.
    fn each(&self) -> impl Iterator<Item = (&str, Misbehaviour)> {
        self.partners.iter().filter_map(|(name, does)| match does {
            Does::Only(which) => Some((name.as_str(), *which)),
            Does::NoWrongMoney | Does::Everything => None,
        })
    }

    /// Those that do several things: without wrong money, and with it.
    fn mixed(&self) -> (&str, &str) {
        let [.., (harmless, _), (everything, _)] = self.partners.as_slice() else {
            panic!("there are no mixed ones")
        };
        (harmless, everything)
    }

    /// The codes under which each partner that can be helped may have items parked.
    fn helped(&self) -> Vec<(&str, &'static str)> {
        let after = |which: &Misbehaviour| which.entry().money == Money::AfterReplay;
        let parks = |which: Misbehaviour| which.entry().parks;
        let each = self.each().filter(|(_, which)| after(which));
        let each = each.filter_map(|(name, which)| Some((name, parks(which)?)));
        let all: BTreeSet<_> =
            Misbehaviour::ALL.into_iter().filter(after).filter_map(parks).collect();
        let (harmless, _) = self.mixed();
        each.chain(all.into_iter().map(|code| (harmless, code))).collect()
    }

    /// Those of whom the catalogue says this.
    fn with(&self, money: &[Money]) -> BTreeSet<String> {
        let with = self.each().filter(|(_, which)| money.contains(&which.entry().money));
        with.map(|(name, _)| name.to_owned()).collect()
    }

    async fn misbehave(&self, rate: u32) {
        for (name, does) in &self.partners {
            let mut misbehave =
                MisbehaveSettings { late_ms: 1_000, forget_ms: 100, ..MisbehaveSettings::NONE };
            // Short while bets are placed: else one refuses all of them, and nothing is left to be told of.
            misbehave.maintenance_ms = if rate == ALL { 1_000 } else { 50 };
            match does {
                // So that every stake is late, and none of its voids finds it.
                Does::Only(Misbehaviour::HoldAfterVoid) => {
                    misbehave.late_ms = LATE_MS;
                    *misbehave.only.of(Misbehaviour::HoldAfterVoid) = ALL;
                }
                Does::Only(which) => *misbehave.only.of(*which) = rate,
                Does::NoWrongMoney => {
                    let each = if rate == ALL { ALL_OF_EACH } else { SOME_OF_EACH };
                    let harmless = |one: &Misbehaviour| one.entry().money != Money::Wrong;
                    for one in Misbehaviour::ALL.into_iter().filter(harmless) {
                        *misbehave.only.of(one) = each;
                    }
                }
                Does::Everything => misbehave.mix = rate,
            }
            let faults = FaultSettings { timeout_ms: SILENCE_MS, misbehave, ..FaultSettings::NONE };
            self.set(name, faults).await;
        }
    }

    async fn behave(&self) {
        for (name, _) in &self.partners {
            self.set(name, FaultSettings::NONE).await;
        }
    }

    async fn set(&self, name: &str, faults: FaultSettings) {
        let faults = serde_json::to_value(faults).unwrap();
        let reply = self.wallets[name].call(Method::POST, "/faults", "", Some(&faults)).await;
        assert_eq!(reply.unwrap().status, 200);
    }

    /// How often a partner misbehaved.
    async fn count(&self, name: &str, which: Misbehaviour) -> u64 {
        let stats = self.wallets[name].call(Method::GET, "/stats", "", None).await.unwrap();
        stats.body["faults"]["misbehaved"][which.entry().name].as_u64().unwrap_or(0)
    }
}

/// Bets on all sides, at every partner.
fn wagers(street: &Street, round: &str) -> Vec<Wager> {
    let partners = street.keys.len();
    let mut wagers = street.wagers(round, BETS * partners, 1);
    for (index, wager) in wagers.iter_mut().enumerate() {
        let selection = SELECTIONS[index / partners % SELECTIONS.len()];
        wager.body["selection"] = json!(selection);
        wager.body["odds"] = json!(die_odds(selection));
        wager.cancel = false;
    }
    wagers
}

/// How the calls of settlements ended, by partner.
async fn outcomes<E: Ground>(house: &House<E>) -> BTreeMap<String, BTreeSet<String>> {
    let admin = format!("http://{}", house.running.admin);
    let text = get(&admin, "/metrics", "*/*").await.1;
    let mut outcomes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let Some(labels) = line.strip_prefix("roundhouse_partner_delivery_attempts_total{") else {
            continue;
        };
        let mut values = labels.split('"').skip(1).step_by(2);
        let (partner, outcome) = (values.next().unwrap(), values.next().unwrap());
        outcomes.entry(partner.to_owned()).or_default().insert(outcome.to_owned());
    }
    outcomes
}

/// What became of the attempts to tell a partner of settlements, as its transactions have it.
async fn tried<E: Ground>(house: &House<E>, name: &str) -> BTreeSet<String> {
    let path = format!("/v1/partners/{name}/transactions?limit=500");
    let page = house.api.call(Method::GET, &path, OPERATOR_KEY, None).await.unwrap();
    let lines = page.body["transactions"].as_array().unwrap();
    assert!(!lines.is_empty() && page.body["next"].is_null(), "{name}");
    let told = lines.iter().filter(|line| line["revision"] != 1);
    let attempts = told.filter_map(|line| line["attempt_log"].as_array()).flatten();
    attempts.map(|attempt| attempt["outcome"].as_str().unwrap().to_owned()).collect()
}

/// What is parked: by bet the revision, and by partner the codes.
pub(crate) async fn parked<E: Ground>(
    house: &House<E>,
) -> (BTreeMap<String, u32>, BTreeMap<String, BTreeSet<String>>) {
    let engine = house.running.engine();
    let lot = parked::read(engine, E::PARTITIONS, &Filter::default()).await.unwrap();
    let mut codes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for item in lot.owed.values() {
        codes.entry(item.settlement.partner.to_string()).or_default().insert(item.code.clone());
    }
    let settlements = lot.owed.into_values().map(|item| item.settlement);
    (settlements.map(|owed| (owed.bet.to_string(), owed.revision)).collect(), codes)
}

/// Waits until nothing is missing.
async fn until(mut missing: impl AsyncFnMut() -> Vec<String>) {
    let begun = Instant::now();
    loop {
        let missing = missing().await;
        if missing.is_empty() {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "{missing:?}");
        sleep(LOOK_PERIOD).await;
    }
}

/// Waits until nothing is undecided, what is owed is parked, and `honest` agree to the books of the round that
/// was corrected.
async fn at_rest<E: Ground>(house: &House<E>, honest: &BTreeSet<String>) {
    until(async || {
        let same = same(house, 2).await;
        let mut missing: Vec<String> =
            honest.difference(&same).map(|name| format!("{name} does not agree")).collect();
        let (parked, _) = parked(house).await;
        let seen = house.watch.seen();
        missing.extend(seen.undecided.iter().map(|bet| format!("{bet} is undecided")));
        // Nobody is told any more what a parked revision superseded.
        let waits =
            |(bet, revision): &&(String, u32)| parked.get(bet).is_none_or(|of| of < revision);
        let owed = seen.owed.iter().filter(waits);
        missing.extend(owed.map(|(bet, revision)| format!("{bet}/{revision} is owed")));
        missing
    })
    .await;
}

/// What the catalogue promises is seen attempt by attempt: outcomes of calls, and why it was parked in the place of `answered`.
async fn told_by_attempts<E: Ground>(house: &House<E>, crowd: &Crowd) {
    until(async || {
        let mut missing = Vec::new();
        for (name, which) in crowd.each() {
            let (entry, seen) = (which.entry(), tried(house, name).await);
            let of_calls = entry.outcomes.iter().filter(|outcome| **outcome != "answered");
            let promised: BTreeSet<&str> = of_calls.copied().chain(entry.parks).collect();
            let is_good = |one: &str| ["applied", "superseded", "pending"].contains(&one);
            assert!(
                seen.iter().all(|one| is_good(one) || promised.contains(one.as_str())),
                "{which}: {seen:?}"
            );
            let may_be_well = entry.parks.is_none() && entry.outcomes.contains(&"answered");
            if !may_be_well && !promised.iter().any(|one| seen.contains(*one)) {
                missing.push(format!("{which}: {seen:?}"));
            }
        }
        missing
    })
    .await;
}

/// What the catalogue promises is seen: outcomes of calls, what is parked, and cases.
async fn recognised<E: Ground>(house: &House<E>, crowd: &Crowd) {
    let (outcomes, (_, parked)) = (outcomes(house).await, parked(house).await);
    let cases = cases(house).await;
    let nothing = BTreeSet::new();
    for (name, which) in crowd.each() {
        let entry = which.entry();
        let seen = outcomes.get(name).unwrap_or(&nothing);
        let promised = |outcome: &String| entry.outcomes.contains(&outcome.as_str());
        assert!(seen.iter().any(promised), "{which}: {seen:?}");
        assert!(seen.iter().all(|one| promised(one) || one == "answered"), "{which}: {seen:?}");
        let codes = parked.get(name).unwrap_or(&nothing);
        let promised: BTreeSet<String> = entry.parks.map(ToOwned::to_owned).into_iter().collect();
        assert_eq!(*codes, promised, "{which}: what is parked");
        let of_closes = cases.iter().filter(|case| case.partner_id.as_deref() == Some(name));
        let codes: BTreeSet<&str> =
            of_closes.map(|case| case.code.as_str()).filter(|c| c.starts_with("close_")).collect();
        assert!(codes.iter().all(|code| entry.cases.contains(code)), "{which}: cases {codes:?}");
        assert_eq!(codes.is_empty(), entry.cases.is_empty(), "{which}: cases {codes:?}");
    }
}

/// Sends what these partners refused again, by the command.
fn replay(street: &Street, crowd: &Crowd) {
    let config = street.file("");
    let (harmless, _) = crowd.mixed();
    for (name, code) in crowd.helped() {
        let mut command = Command::new(EXE);
        command.args(["parked", "replay", "--partner", name, "--code", code, "--json"]);
        command.args(["--by", "ann", "--reason", "it behaves again", "--config"]).arg(&config);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(said["replayed"] != 0 || name == harmless, "{name}: {code}");
    }
}

/// The audit: clean without those who move wrong money, and not with one of them.
async fn audited<E: Ground>(street: &Street, crowd: &Crowd) {
    let books = books::<E>(street).await;
    let journals = books.journals.clone().unwrap();
    let with = |names: &BTreeSet<String>| {
        let mut books = books.clone();
        let of = journals.iter().filter(|(name, _)| names.contains(*name));
        books.journals = Some(of.map(|(name, rows)| (name.clone(), rows.clone())).collect());
        audit(&books, true).unwrap()
    };
    let (harmless, everything) = crowd.mixed();
    let mut right = crowd.with(&[Money::Right, Money::AfterReplay]);
    right.insert(harmless.to_owned());
    assert!(!journals[harmless].is_empty(), "{harmless} holds nothing");
    let report = with(&right);
    assert!(report.clean && 0 < report.checked, "{report}");
    for name in crowd.with(&[Money::Wrong]) {
        let report = with(&[name.clone()].into());
        let found = report.finding("row-adds-up").unwrap().violations;
        assert!(0 < found, "the audit finds nothing at {name}: {report}");
    }
    // Whatever is wrong at the one that did everything, people were told of that very bet; unless a later revision has
    // put it right, and only the journal still shows it.
    let report = with(&[everything.to_owned()].into());
    let (told, right) = (told_of(&books), put_right(&journals[everything]));
    for broken in report.broken() {
        let bet = broken.subject.split('/').next().unwrap();
        let is_sum = broken.subject.starts_with(everything);
        assert!(is_sum || right.contains(bet) || told(bet), "nobody was told: {broken:?}");
    }
    let at_rest = report.broken().filter(|broken| broken.invariant.starts_with("money-"));
    assert!(at_rest.map(|broken| broken.subject.as_str()).all(told), "{report}");
}

/// Bets of which all that was moved is what the last row is worth.
fn put_right(journal: &[Movement]) -> BTreeSet<&str> {
    let mut sums: BTreeMap<&str, (i128, &Movement)> = BTreeMap::new();
    for movement in journal {
        let (sum, last) = sums.entry(&movement.bet).or_insert((0, movement));
        (*sum, *last) = (*sum + i128::from(movement.moved), movement);
    }
    let worth = |row: &Movement| match row.target {
        Some(Target::Held) => -row.stake,
        Some(Target::Settled(payout)) => payout - row.stake,
        Some(Target::Voided) | None => 0,
    };
    let right = |(sum, last): &(i128, &Movement)| *sum == i128::from(worth(last) + last.shortfall);
    sums.into_iter().filter(|(_, of)| right(of)).map(|(bet, _)| bet).collect()
}

/// Whether a bet was parked, or a case is of it or names it.
fn told_of(books: &Books) -> impl Fn(&str) -> bool {
    let parked = books.parked.iter().flatten().map(|(_, parked)| parked.bet.to_string());
    let of_cases = books.cases.iter().filter_map(|case| case.bet_id.clone());
    let bets: BTreeSet<String> = parked.chain(of_cases).collect();
    let words: Vec<&str> = books.cases.iter().map(|case| case.text.as_str()).collect();
    move |bet| bets.contains(bet) || words.iter().any(|text| text.contains(bet))
}

async fn whatever_partners_do_is_recognised_and_settled<E: Ground>() {
    let mut street = Street::on::<E>(Misbehaviour::COUNT + 2, 91, &[]).await;
    street.config.reconciler.close_after_s = 0;
    street.config.dispatcher.call_ms_max = CALL_MS_MAX;
    street.config.dispatcher.retries = Some(RETRIES);
    let crowd = Crowd::of(&street);
    let house = House::<E>::open(&street.config).await;
    crowd.misbehave(SOME).await;
    for round in [CORRECTED, SETTLED] {
        house.api.open_die(round, 600_000, 200).await.unwrap();
    }
    let all = [wagers(&street, CORRECTED), wagers(&street, SETTLED)].concat();
    place_all(&house.api, all, 128, &Arc::new(AtomicUsize::new(0))).await;
    let placed = Instant::now();
    for round in [CORRECTED, SETTLED] {
        house.api.close(round).await.unwrap();
    }

    crowd.misbehave(ALL).await;
    house.api.result(SETTLED, "4").await.unwrap();
    house.api.result(CORRECTED, "3").await.unwrap();
    sleep(AMID).await;
    house.api.correct(CORRECTED, 1, "4").await.unwrap();
    until(async || {
        let (mut missing, outcomes) = (Vec::new(), outcomes(&house).await);
        let cases = cases(&house).await;
        for (name, which) in crowd.each() {
            let entry = which.entry();
            let seen = outcomes.get(name).cloned().unwrap_or_default();
            let has_case = cases.iter().any(|case| {
                case.partner_id.as_deref() == Some(name) && case.code.starts_with("close_")
            });
            let told = entry.outcomes.iter().any(|outcome| seen.contains(*outcome));
            if !told || crowd.count(name, which).await == 0 || has_case == entry.cases.is_empty() {
                missing.push(format!("{which}: {seen:?}, a case: {has_case}"));
            }
        }
        missing
    })
    .await;
    crowd.misbehave(SOME).await;
    sleep(AMID).await;
    crowd.behave().await;
    at_rest(&house, &crowd.with(&[Money::Right])).await;
    sleep((placed + Duration::from_millis(LATE_MS)).saturating_duration_since(Instant::now()))
        .await;
    recognised(&house, &crowd).await;
    told_by_attempts(&house, &crowd).await;

    house.close().await;
    replay(&street, &crowd);
    let house = House::<E>::open(&street.config).await;
    let (harmless, everything) = crowd.mixed();
    let mut wrong = crowd.with(&[Money::Wrong]);
    wrong.insert(everything.to_owned());
    until(async || {
        let (_, parked) = parked(&house).await;
        let left: BTreeSet<String> = parked.into_keys().collect();
        left.difference(&wrong).cloned().collect()
    })
    .await;
    let mut right = crowd.with(&[Money::Right]);
    right.insert(harmless.to_owned());
    at_rest(&house, &right).await;
    house.close().await;
    audited::<E>(&street, &crowd).await;
}

/// The command: what it lists, and a wallet that misbehaves from its first call on.
#[test]
fn the_command_lists_them_and_takes_a_script() {
    let run =
        |arguments: &[&str]| Command::new(EXE).arg("misbehave").args(arguments).output().unwrap();
    let listed = run(&["--list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    for which in Misbehaviour::ALL {
        assert!(listed.contains(which.entry().name), "{which}");
    }
    let directory = tempfile::tempdir().unwrap();
    let (keys, script) = (directory.path().join("keys.json"), directory.path().join("script"));
    std::fs::write(&keys, "{\"platform\":[],\"partners\":{}}").unwrap();
    std::fs::write(&script, "1 redirects\n").unwrap();
    let (keys, script) = (keys.to_str().unwrap(), script.to_str().unwrap());
    let wallet = ["--in-memory", "--partner", "acme", "--keys", keys];
    for (further, words) in [
        (["--script", script], "`redirects` is no misbehaviour"),
        (["--only", "redirects"], "`redirects` is no misbehaviour"),
        (["--only", "redirect=1001"], "`1001` is no rate"),
        (["--mix", "1001"], "1001 is not in 0..=1000"),
    ] {
        let refused = run(&[&wallet[..], &further].concat());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && said.contains(words), "{said}");
    }
}
