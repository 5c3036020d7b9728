//! Players, operators and feeds: what they want is drawn before the world begins, crowded at the edges.

use super::actor::{RawInput, Reply, Request};
use super::cast::PARTNERS;
use super::reach::Moment;
use super::slot::{Role, SlotRef};
use super::{BEGIN_MS, Event, World};
use ingest::placing::{Ask, Cancel, Place, SessionToken, Told};
use runtime::{Append, Record, Source};
use schemas::catalogue::ROUNDS;
use schemas::decisions::Verdict;
use schemas::outgoing;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::{BetId, Money, Odds, PartnerId, PlayerId, RequestId, RoundId, Selection, facts};
use std::collections::BTreeMap;

/// Ms after which an operator says a thing again that got no verdict.
const SAY_AGAIN_MS: i64 = 4_000;
/// Requests for one bet, at most.
const ATTEMPTS_MAX: u32 = 4;

/// A step of a client.
#[derive(Clone, Debug)]
pub enum ClientStep {
    /// An operator opens a round.
    Open(usize),
    /// An operator says the next version of a round; the number counts its tries.
    Say { round: usize, step: usize },
    /// A feed repeats its first message under another request id, or contradicts the operator.
    Feed { round: usize, outcome: usize },
    /// A player asks an instance for a bet; `other` asks for another stake.
    Place { bet: usize, ingest: usize, other: bool },
    /// A player asks an instance to take the bet back.
    Cancel { bet: usize, ingest: usize },
    /// Faults stop.
    Heal,
}

#[derive(Clone, Debug)]
struct RoundPlan {
    id: RoundId,
    opened: Opened,
    /// What the result versions will say.
    script: Vec<Outcome>,
    /// Ms between a verdict and the next version.
    pauses_ms: Vec<i64>,
    /// The version the next one replaces.
    version: u32,
    step: usize,
    opened_admitted: bool,
    /// Each saying of a step has its own number: a timer of an older one is stale.
    done: bool,
}

#[derive(Clone, Debug)]
struct BetPlan {
    id: BetId,
    place: Place,
    attempts: u32,
}

/// A request that waits for its reply.
#[derive(Clone, Debug)]
struct Waiting {
    process: usize,
    bet: usize,
    stake: Option<i64>,
}

/// Everybody outside.
#[derive(Debug, Default)]
pub struct Clients {
    pub rounds_kept: usize,
    pub chunk_items_max: usize,
    rounds: Vec<RoundPlan>,
    bets: Vec<BetPlan>,
    waiting: BTreeMap<u64, Waiting>,
    next_token: u64,
}

impl Clients {
    /// The rounds whose operator has not said everything yet.
    pub(super) fn unfinished(&self) -> usize {
        self.rounds.iter().filter(|round| !round.done).count()
    }
}

impl World {
    /// Draws what everybody will do.
    pub(super) fn plan_clients(&mut self) {
        self.clients.rounds_kept = 1 + self.rng.index(5);
        self.clients.chunk_items_max = 1 + self.rng.index(6);
        let rounds = self.rng.between(2, 3);
        let mut end_ms = 0;
        for index in 0..rounds {
            let opens_ms = self.rng.between(0, 3_500);
            // Some rounds outlast the six ticks in which an intent expires.
            let long = self.rng.chance(200);
            let lasts_ms =
                if long { self.rng.between(7_500, 10_000) } else { self.rng.between(1_000, 4_000) };
            end_ms = end_ms.max(opens_ms + lasts_ms);
            self.plan_round(index, opens_ms, lasts_ms);
        }
        let calm = self.rng.between(2_500, 9_000);
        self.after_ms(end_ms + calm, Event::Client(ClientStep::Heal));
    }

    fn plan_round(&mut self, index: i64, opens_ms: i64, lasts_ms: i64) {
        let Ok(id) = format!("r{index}").parse::<RoundId>() else { return };
        let game = *self.rng.pick(&["die", "two_way", "direct"]);
        let names: Vec<&str> = match game {
            "die" => vec!["1", "4", "even", "odd", "low"],
            "two_way" => vec!["first", "second"],
            _ => vec!["home", "draw", "away"],
        };
        let offers = names
            .iter()
            .filter_map(|name| {
                let odds = Odds::new(self.rng.between(101, 999)).ok()?;
                Some(Offer { selection: name.parse().ok()?, odds })
            })
            .collect::<Vec<_>>();
        let opened = Opened {
            game: game.to_owned(),
            rules_version: settlement::RULES_VERSION,
            offers,
            closes_at: BEGIN_MS + opens_ms + lasts_ms,
            grace_ms: *self.rng.pick(&[200, 200, 600, 1_500]),
        };
        let script = self.plan_script(game, &opened);
        let pauses_ms = script.iter().map(|_| self.plan_pause()).collect();
        let round = self.clients.rounds.len();
        self.clients.rounds.push(RoundPlan {
            id,
            opened,
            script,
            pauses_ms,
            version: 0,
            step: 0,
            opened_admitted: false,
            done: false,
        });
        self.after_ms(opens_ms, Event::Client(ClientStep::Open(round)));
        let closed_ms = opens_ms + lasts_ms + self.clients.rounds[round].opened.grace_ms;
        let first_ms = match self.rng.below(4) {
            // Too early, and held back by `not_sealed`.
            0 => closed_ms - self.rng.between(0, 1_200),
            1 => closed_ms + self.rng.between(0, 60),
            _ => closed_ms + self.rng.between(0, 2_500),
        };
        let first = ClientStep::Say { round, step: 0 };
        self.after_ms(first_ms, Event::Client(first));
        if self.rng.chance(self.faults.feed_repeats) {
            let outcome = self.rng.index(self.clients.rounds[round].script.len());
            let wait = first_ms + self.rng.between(0, 8_000);
            self.fault();
            self.after_ms(wait, Event::Client(ClientStep::Feed { round, outcome }));
        }
        let bets = self.rng.between(5, 11);
        for number in 0..bets {
            self.plan_bet(round, number, opens_ms, opens_ms + lasts_ms);
        }
    }

    /// 1 to 4 versions: results, corrections there and back, withdrawals, voids.
    fn plan_script(&mut self, game: &str, opened: &Opened) -> Vec<Outcome> {
        let mut script = vec![self.plan_result(game, opened)];
        for _ in 0..self.rng.below(4) {
            let next = match self.rng.below(6) {
                0 if !matches!(script.last(), Some(Outcome::Withdrawn)) => Outcome::Withdrawn,
                1 if !self.restoring.is_planned() => Outcome::Voided,
                2 | 3 if 1 < script.len() => script[script.len() - 2].clone(),
                _ => self.plan_result(game, opened),
            };
            let idle =
                matches!((script.last(), &next), (Some(Outcome::Withdrawn), Outcome::Withdrawn));
            if !idle {
                script.push(next);
            }
        }
        script
    }

    fn plan_result(&mut self, game: &str, opened: &Opened) -> Outcome {
        match game {
            "die" => Outcome::Game((*self.rng.pick(&["1", "2", "3", "4", "5", "6"])).to_owned()),
            "two_way" => Outcome::Game((*self.rng.pick(&["first", "second"])).to_owned()),
            _ => {
                let mut left: Vec<Selection> =
                    opened.offers.iter().map(|offer| offer.selection.clone()).collect();
                let won = vec![left.remove(self.rng.index(left.len()))];
                let void = if self.rng.chance(250) && !self.restoring.is_planned() {
                    vec![left.remove(self.rng.index(left.len()))]
                } else {
                    Vec::new()
                };
                Outcome::Named { won, void }
            }
        }
    }

    fn plan_pause(&mut self) -> i64 {
        match self.rng.below(3) {
            0 => self.rng.between(0, 60),
            1 => self.rng.between(0, 1_500),
            _ => self.rng.between(2_000, 7_000),
        }
    }

    fn plan_bet(&mut self, round: usize, number: i64, opens_ms: i64, closes_ms: i64) {
        let plan = &self.clients.rounds[round];
        let (id, offers, grace_ms) =
            (plan.id.clone(), plan.opened.offers.clone(), plan.opened.grace_ms);
        let partner = *self.rng.pick(&PARTNERS);
        let player = format!("p{}", self.rng.below(3));
        let offer = self.rng.pick(&offers).clone();
        let (code, exponent) = if player == "p2" { ("JPY", 0) } else { ("EUR", 2) };
        let parsed = (|| {
            Some(Place {
                partner: partner.parse::<PartnerId>().ok()?,
                player: player.parse::<PlayerId>().ok()?,
                client_ref: format!("c{number}").parse().ok()?,
                round: id,
                selection: offer.selection,
                stake: Money::new(self.rng.between(1, 4_000), code.parse().ok()?, exponent).ok()?,
                odds: offer.odds,
                session_token: SessionToken::new("token".to_owned()),
            })
        })();
        let Some(place) = parsed else { return };
        let at_ms = match self.rng.below(10) {
            0 => opens_ms + self.rng.between(0, 80),
            1..=3 => closes_ms - self.rng.between(0, 900),
            4 => closes_ms + self.rng.between(0, grace_ms),
            _ => self.rng.between(opens_ms, closes_ms),
        };
        let bet = self.clients.bets.len();
        self.clients.bets.push(BetPlan { id: place.bet_id(), place, attempts: 0 });
        let ingest = self.rng.index(8);
        let step = ClientStep::Place { bet, ingest, other: false };
        self.after_ms(at_ms, Event::Client(step));
        if self.rng.chance(self.faults.client_doubles) {
            let wait = if self.rng.chance(600) {
                self.rng.between(0, 60)
            } else {
                self.rng.between(0, 5_000)
            };
            self.fault();
            let step = ClientStep::Place { bet, ingest: ingest + 1, other: false };
            self.after_ms(at_ms + wait, Event::Client(step));
        }
        if self.rng.chance(self.faults.client_other_content) {
            let wait = self.rng.between(-30, 60);
            self.fault();
            let step = ClientStep::Place { bet, ingest: ingest + 1, other: true };
            self.after_ms((at_ms + wait).max(0), Event::Client(step));
        }
        if self.rng.chance(280) {
            let wait = match self.rng.below(4) {
                0 => closes_ms + grace_ms - at_ms - self.rng.between(-300, 300),
                1 => self.rng.between(500, 4_000),
                _ => self.rng.between(-10, 150),
            };
            let ingest = ingest + self.rng.index(2);
            let cancel = ClientStep::Cancel { bet, ingest };
            self.after_ms((at_ms + wait).max(0), Event::Client(cancel));
        }
    }

    pub(super) fn client(&mut self, step: ClientStep) {
        match step {
            ClientStep::Open(round) => {
                let plan = &self.clients.rounds[round];
                if plan.opened_admitted {
                    return;
                }
                let said = RoundSaid::Opened(plan.opened.clone());
                self.say(round, "open", said);
                self.after_ms(SAY_AGAIN_MS, Event::Client(ClientStep::Open(round)));
            }
            ClientStep::Say { round, step } => self.say_version(round, step),
            ClientStep::Feed { round, outcome } => {
                let outcome = self.clients.rounds[round].script[outcome].clone();
                let said = RoundSaid::Version { replaces: 0, outcome, reason: String::new() };
                self.say(round, "feed", said);
            }
            ClientStep::Place { bet, ingest, other } => self.place(bet, ingest, other),
            ClientStep::Cancel { bet, ingest } => self.cancel(bet, ingest),
            ClientStep::Heal if self.is_too_thin() => {
                self.rebalance();
                self.after_ms(400, Event::Client(ClientStep::Heal));
            }
            ClientStep::Heal => self.heal(),
        }
    }

    fn say_version(&mut self, round: usize, step: usize) {
        let plan = &self.clients.rounds[round];
        if plan.done || plan.step != step {
            return;
        }
        let Some(outcome) = plan.script.get(step).cloned() else { return };
        let said =
            RoundSaid::Version { replaces: plan.version, outcome, reason: "drawn".to_owned() };
        let request = format!("v{step}-{}", plan.version);
        self.say(round, &request, said);
        self.after_ms(SAY_AGAIN_MS, Event::Client(ClientStep::Say { round, step }));
    }

    /// Operators and feeds only ever append to `rounds` (R7).
    fn say(&mut self, round: usize, request: &str, said: RoundSaid) {
        let Ok(request) = request.parse::<RequestId>() else { return };
        let event = RoundEvent {
            round: self.clients.rounds[round].id.clone(),
            request,
            actor: "operator".to_owned(),
            said_at: self.now_ms(),
            said,
        };
        let Ok(outgoing) = outgoing::round(&event, self.partitions) else { return };
        let nobody = SlotRef { process: usize::MAX, role: Role::Placing, partition: 0, epoch: 0 };
        let landed = self.land_append(nobody, Append::from(outgoing.into_parts()));
        drop(landed);
    }

    fn placing_of(&mut self, ingest: usize) -> Option<SlotRef> {
        let ingests: Vec<usize> = (0..self.processes.len())
            .filter(|process| self.processes[*process].roles.contains(&Role::Placing))
            .collect();
        let process = ingests[ingest % ingests.len()];
        let owned = self.processes[process].owned.get_mut(&Role::Placing)?;
        let epoch = owned.get_mut(0)?.epoch;
        Some(SlotRef { process, role: Role::Placing, partition: 0, epoch })
    }

    fn place(&mut self, bet: usize, ingest: usize, other: bool) {
        let plan = &mut self.clients.bets[bet];
        if ATTEMPTS_MAX <= plan.attempts {
            return;
        }
        plan.attempts += 1;
        let mut place = plan.place.clone();
        if other {
            place.stake = place.stake.with_units(place.stake.units + 700);
        }
        let stake = Some(place.stake.units);
        self.ask(bet, ingest, stake, Ask::Place(place));
    }

    fn cancel(&mut self, bet: usize, ingest: usize) {
        let plan = &self.clients.bets[bet];
        let Ok(request) = format!("cancel-{}", plan.id).parse::<RequestId>() else { return };
        let cancel = Cancel {
            bet: plan.id.clone(),
            partner: plan.place.partner.clone(),
            player: plan.place.player.clone(),
            request,
        };
        self.ask(bet, ingest, None, Ask::Cancel(cancel));
    }

    fn ask(&mut self, bet: usize, ingest: usize, stake: Option<i64>, request: Ask) {
        let Some(at) = self.placing_of(ingest) else {
            self.try_again(bet, stake, ingest);
            return;
        };
        self.clients.next_token += 1;
        let token = self.clients.next_token;
        self.clients.waiting.insert(token, Waiting { process: at.process, bet, stake });
        let when = self.soon(20);
        let input = RawInput::Request { token, request: Request::Bet(request) };
        self.at(when, Event::Input { at, input });
    }

    /// A client that was not told anything final asks another instance.
    fn try_again(&mut self, bet: usize, stake: Option<i64>, ingest: usize) {
        let plan = &self.clients.bets[bet];
        let same = stake == Some(plan.place.stake.units);
        if same && self.rng.chance(600) {
            let wait = self.rng.between(10, 2_000);
            let step = ClientStep::Place { bet, ingest: ingest + 1, other: false };
            self.after_ms(wait, Event::Client(step));
        }
    }

    /// The process died: whoever waits for it learns that the connection is gone.
    pub(super) fn lost_contact(&mut self, process: usize) {
        let gone: Vec<(u64, Waiting)> = self
            .clients
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.process == process)
            .map(|(token, waiting)| (*token, waiting.clone()))
            .collect();
        for (token, waiting) in gone {
            self.clients.waiting.remove(&token);
            self.try_again(waiting.bet, waiting.stake, process);
        }
    }

    pub(super) fn replied(&mut self, at: SlotRef, token: u64, reply: Reply) {
        let Reply::Bet(reply) = reply else { return };
        let Some(waiting) = self.clients.waiting.remove(&token) else {
            self.broken("R13", format!("{at} replied twice, or to nobody"));
            return;
        };
        let id = self.clients.bets[waiting.bet].id.to_string();
        self.note(30, token, 0, || format!("{at} tells {id}: {}", shown(&reply)));
        if let Told::NotTaken { code, .. } = &reply {
            Moment::of_refusal(*code).into_iter().for_each(|moment| self.reach.hit(moment));
        }
        match reply {
            Told::Decided(decision) => {
                let kind = match decision.verdict {
                    Verdict::Accepted => facts::ACCEPTED,
                    Verdict::Rejected(_) => facts::REJECTED,
                    Verdict::Cancelled(_) => facts::CANCELLED,
                };
                let stake = decision.bet.stake.units;
                if decision.bet.id.as_str() != id || waiting.stake.is_some_and(|s| s != stake) {
                    self.broken("R12", format!("{id}: told of another bet, {decision:?}"));
                }
                self.checks.told(&id, kind);
            }
            Told::CancelRefused(refused) => {
                if refused.reason == "closed" {
                    self.reach.hit(Moment::CancelBehindClosed);
                }
            }
            Told::Undecided { .. } | Told::NotTaken { .. } => {
                let next = at.process + 1;
                self.try_again(waiting.bet, waiting.stake, next);
            }
            Told::ReferenceReused { .. } | Told::Recent(_) | Told::Noted | Told::Started => {}
        }
    }

    /// Operators read the verdicts on what they said.
    pub(super) fn saw(&mut self, source: Source, record: &Record) {
        if source.topic.0 != ROUNDS {
            return;
        }
        if record.header(facts::HEADER_KIND) != Some("verdict") {
            return;
        }
        let Ok(event) = RoundEvent::decode(&record.value) else { return };
        let RoundSaid::Verdict(verdict) = &event.said else { return };
        let found = self.clients.rounds.iter().position(|round| round.id == event.round);
        let Some(round) = found else { return };
        let plan = &mut self.clients.rounds[round];
        if event.request.as_str() == "open" {
            plan.opened_admitted = true;
            return;
        }
        let step = plan.step;
        let ours = event.request.as_str() == format!("v{step}-{}", plan.version);
        if !ours || plan.done {
            return;
        }
        let wait = match verdict.refused.as_deref() {
            None => {
                plan.version = verdict.version;
                plan.step += 1;
                plan.done = plan.script.len() <= plan.step;
                plan.pauses_ms.get(step).copied().unwrap_or(0)
            }
            Some("not_sealed") => 150,
            Some("version_conflict") => {
                plan.version = verdict.version;
                20
            }
            Some(_) => {
                // The rules refuse it (nothing to withdraw, say): the operator goes on.
                plan.step += 1;
                plan.done = plan.script.len() <= plan.step;
                20
            }
        };
        let step = plan.step;
        self.after_ms(wait, Event::Client(ClientStep::Say { round, step }));
    }
}

fn shown(reply: &Told) -> String {
    match reply {
        Told::Decided(decision) => format!("{:?}", decision.verdict),
        Told::CancelRefused(refused) => format!("cancel refused: {}", refused.reason),
        Told::Undecided { .. } => "undecided".to_owned(),
        Told::ReferenceReused { .. } => "reference reused".to_owned(),
        Told::NotTaken { code, .. } => format!("not taken: {code:?}"),
        Told::Recent(_) => "recent".to_owned(),
        Told::Noted | Told::Started => "noted".to_owned(),
    }
}
