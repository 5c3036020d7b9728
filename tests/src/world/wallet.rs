//! The partners: the production register behind a wire that loses, delays, doubles and lies.

use super::actor::RawInput;
use super::calls::{Answer, Call, Endpoint};
use super::misbehaving::{Mischief, Spoilt, above};
use super::reach::Moment;
use super::slot::SlotRef;
use super::{Event, World};
use bytes::Bytes;
use partner_kit::misbehaviours::{Misbehaviour, garble};
use partner_kit::register::{LedgerOptions, Register};
use schemas::PartnerId;
use schemas::contract::{
    AuthorizeRequest, AuthorizeResponse, HoldDecision, ItemOutcome, RowStatus, StateItem,
    StateRequest, StateResponse, StateResult,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a partner, or what stands before it, says that did nothing: among them a 409 to a first call, a gateway
/// and a redirect.
const NOT_APPLIED: [u16; 6] = [500, 409, 429, 503, 307, 403];
/// Answers that echo another bet, ids in other case, amounts as numbers, and the words of another version.
const GARBLED: [Misbehaviour; 4] = [
    Misbehaviour::WrongBet,
    Misbehaviour::IdsFolded,
    Misbehaviour::OddNumbers,
    Misbehaviour::OtherVersion,
];

/// How a call is treated on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Plain,
    /// Nobody waits for the answer any more.
    Unheard,
    /// Applied, then 500.
    ErrorAfter,
    /// 200 with something that is no answer.
    Nonsense,
    /// 200 in words that are not those of the contract.
    Garbled,
    /// 200 with answers to some items.
    Partial,
    /// 200 with some items not done and said to be pending.
    Pending,
    /// 200 that says `superseded` of items, without doing them.
    SupersededLie,
    /// 200 that says `applied` of items, without doing them.
    AppliedLie,
    /// As this misbehaviour has it, and answered so, if at all.
    Wrong(Misbehaviour, Option<Spoilt>),
}

impl Manner {
    /// True if nobody waits for an answer of the wallet.
    const fn is_unheard(self) -> bool {
        matches!(self, Self::Unheard | Self::Wrong(_, None))
    }

    /// How many rows of a round are left out of what is said of it.
    pub(super) fn rows_lost(self) -> usize {
        usize::from(matches!(self, Self::Wrong(Misbehaviour::UnknownThenKnown, _)))
    }
}

/// A call at the partner's door.
#[derive(Debug)]
pub struct Arrival {
    pub call: Call,
    pub manner: Manner,
    pub caller: (SlotRef, u64),
    /// The epoch of the ledger that stood when it was sent.
    pub epoch: String,
}

/// Every partner.
#[derive(Debug, Default)]
pub struct Wallets {
    pub(super) registers: BTreeMap<PartnerId, Register>,
    pub(super) mischief: Mischief,
    /// What a partner ever answered to authorize: (bet, approved).
    answered: BTreeSet<(String, bool)>,
    /// Every stake a partner ever held for a bet.
    held: BTreeSet<(String, i64)>,
    /// Clocks of partners, ms ahead of the true time.
    skews: BTreeMap<PartnerId, i64>,
    /// Partners that answer from memory where a chunk's id is one that they answered in full before.
    pub dedupes: bool,
    pub(super) remembered: BTreeMap<(PartnerId, String), Bytes>,
    /// Partners that are down: until when, and whether for stakes too.
    pub(super) down: BTreeMap<PartnerId, (super::Micros, bool)>,
    /// Partners that decline by chance, per mille.
    pub declines: u64,
}

impl Wallets {
    pub fn add(&mut self, options: LedgerOptions, skew_ms: i64) {
        self.skews.insert(options.partner.clone(), skew_ms);
        self.registers.insert(options.partner.clone(), Register::new(options));
    }

    pub(super) fn heal(&mut self) {
        self.down.clear();
        for skew in self.skews.values_mut() {
            *skew = 0;
        }
    }

    /// Every partner with its ledger.
    pub(super) fn ledgers(&self) -> impl Iterator<Item = (&PartnerId, &Register)> {
        self.registers.iter()
    }

    /// Every partner.
    pub(super) fn names(&self) -> Vec<PartnerId> {
        self.registers.keys().cloned().collect()
    }

    /// What was really moved on a bet, shortfall counted as moved.
    pub fn net_of(&self, partner: &PartnerId, bet: &str) -> i64 {
        self.registers.get(partner).map_or(0, |register| register.net_of(bet))
    }

    /// The revision of the partner's row, 0 if there is none.
    pub fn revision_of(&self, partner: &PartnerId, bet: &str) -> u32 {
        let row = self.registers.get(partner).and_then(|register| register.row(bet));
        row.map_or(0, |row| row.revision)
    }

    /// Every row with its net.
    pub fn rows(&self) -> impl Iterator<Item = (&PartnerId, &str, i64)> {
        self.registers.iter().flat_map(|(partner, register)| {
            register.rows().map(move |(bet, row)| (partner, bet, row.net()))
        })
    }

    /// Whether the partner ever answered so about the bet.
    pub fn ever_answered(&self, bet: &str, approved: bool) -> bool {
        self.answered.contains(&(bet.to_owned(), approved))
    }

    /// Whether the partner ever held exactly this stake for the bet.
    pub fn ever_held(&self, bet: &str, stake: i64) -> bool {
        self.held.contains(&(bet.to_owned(), stake))
    }
}

impl World {
    /// Sends a call on its way. Its caller gets exactly one answer.
    pub(super) fn call(&mut self, at: SlotRef, token: u64, call: Call) {
        self.called(at, token, &call);
        let deadline = self.now + call.budget_ms * 1_000;
        let faults = self.faults.clone();
        let caller = (at, token);
        let epoch = self.wallets.epoch_of(&call.partner);
        let nothing = |world: &mut Self| {
            world.at(deadline, answer(caller, Answer::Nothing));
        };
        if self.is_down(&call) {
            let when = self.soon(30);
            self.at(when, answer(caller, Answer::Nothing));
            return;
        }
        if let Some(which) = self.befallen(&call) {
            self.misbehave(which, caller, call, epoch);
            return;
        }
        if self.rng.chance(faults.call_lost) {
            self.fault();
            return nothing(self);
        }
        if self.rng.chance(faults.error_before) {
            self.fault();
            let when = self.soon(30);
            let status = NOT_APPLIED[self.rng.index(NOT_APPLIED.len())];
            let said = self.refusal(status);
            self.at(when, answer(caller, said));
            return;
        }
        if self.rng.chance(faults.call_doubled) {
            self.fault();
            self.reach.hit(Moment::CallDoubled);
            let when = self.now + self.rng.between(0, 8_000_000);
            let (call, epoch) = (call.clone(), epoch.clone());
            let arrival = Arrival { call, manner: Manner::Unheard, caller, epoch };
            self.at(when, Event::Wallet(arrival));
        }
        if self.rng.chance(faults.call_late) {
            self.fault();
            self.reach.hit(Moment::CallLate);
            let when = deadline + self.rng.between(0, 9_000_000);
            self.at(when, Event::Wallet(Arrival { call, manner: Manner::Unheard, caller, epoch }));
            return nothing(self);
        }
        let slow = self.rng.chance(faults.slow);
        let mut arrives = self.soon(40);
        if slow {
            self.fault();
            arrives += self.rng.between(0, faults.slow_ms_max * 1_000);
        }
        if self.rng.chance(faults.answer_lost) || deadline <= arrives {
            self.fault();
            self.reach.hit(Moment::AnswerLost);
            self.at(
                arrives,
                Event::Wallet(Arrival { call, manner: Manner::Unheard, caller, epoch }),
            );
            return nothing(self);
        }
        let manner = self.manner(&call.endpoint);
        self.at(arrives, Event::Wallet(Arrival { call, manner, caller, epoch }));
    }

    fn manner(&mut self, endpoint: &Endpoint) -> Manner {
        let faults = &self.faults;
        let state = *endpoint == Endpoint::State;
        let of_money = state || *endpoint == Endpoint::Authorize;
        let rates = [
            (faults.error_after, Manner::ErrorAfter),
            (faults.nonsense, Manner::Nonsense),
            (if of_money { faults.garbled } else { 0 }, Manner::Garbled),
            (if state { faults.partial } else { 0 }, Manner::Partial),
            (if state { faults.pending } else { 0 }, Manner::Pending),
            (if state { faults.superseded_lie } else { 0 }, Manner::SupersededLie),
            (if state { faults.applied_lie } else { 0 }, Manner::AppliedLie),
        ];
        for (rate, manner) in rates {
            if self.rng.chance(rate) {
                self.fault();
                return manner;
            }
        }
        Manner::Plain
    }

    /// The partner takes a call.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let Arrival { call, manner, caller, epoch } = arrival;
        if epoch != self.wallets.epoch_of(&call.partner) {
            // Whoever restores a ledger stops what runs on it: calls on their way end there.
            if !manner.is_unheard() {
                self.at(self.now, answer(caller, Answer::Nothing));
            }
            return;
        }
        let body = match &call.endpoint {
            Endpoint::Authorize => self.authorize(&call),
            Endpoint::State => self.state(&call, manner),
            Endpoint::Close => self.close_round(&call, manner),
            Endpoint::Rows { round, after } => self.round_bets(&call, (round, after), manner),
            Endpoint::Query => self.query(&call),
        };
        let reply = match (manner, body) {
            (manner, _) if manner.is_unheard() => return,
            (Manner::Wrong(which, Some(spoilt)), Ok(body)) => self.spoilt(which, spoilt, body),
            (Manner::ErrorAfter, _) => Answer::of(500, Bytes::new()),
            (Manner::Nonsense, _) => {
                let pages: [&'static [u8]; 4] =
                    [b"<html>ok</html>", b"{}", b"", b"{\"results\":[],\"chunk_id\":\"x\"}"];
                Answer::of(200, Bytes::from_static(pages[self.rng.index(pages.len())]))
            }
            (Manner::Garbled, Ok(body)) => {
                self.reach.hit(Moment::AnswerGarbled);
                Answer::of(200, self.garbled(&body))
            }
            (_, Ok(body)) => Answer::of(200, body),
            (_, Err(status)) => Answer::of(status, Bytes::new()),
        };
        let when = self.soon(30);
        self.at(when, answer(caller, reply));
    }

    /// What was done, told in other words; or with other revisions.
    fn garbled(&mut self, body: &Bytes) -> Bytes {
        let Ok(mut answer) = serde_json::from_slice(body) else { return Bytes::new() };
        match GARBLED.get(self.rng.index(GARBLED.len() + 1)) {
            Some(which) => {
                garble(*which, 0, &mut answer);
            }
            None => above(&mut answer),
        }
        Bytes::from(answer.to_string())
    }

    fn authorize(&mut self, call: &Call) -> Result<Bytes, u16> {
        let request: AuthorizeRequest = serde_json::from_slice(&call.body).map_err(|_| 400_u16)?;
        let now = self.now_ms() + self.wallets.skews.get(&call.partner).copied().unwrap_or(0);
        let bet = request.bet_id.clone();
        let declines = self.rng.chance(self.wallets.declines);
        let sloppy = self.faults.sloppy_expiry;
        let register = self.wallets.registers.get_mut(&call.partner).ok_or(404_u16)?;
        let before = register.row(&bet).map(|row| (row.revision, row.status));
        let late =
            schemas::contract::parse_timestamp(&request.expires_at).is_none_or(|at| at <= now);
        let decline = declines.then_some(partner_kit::movement::DeclineCode::LimitExceeded);
        let (result, movements) = register.authorize_unless(now, &request, decline);
        let mut response = result.map_err(|_| 422_u16)?;
        if before == Some((2, RowStatus::Voided)) {
            self.reach.hit(Moment::VoidBeforeAuthorize);
        }
        if sloppy && late && before == Some((1, RowStatus::Held)) {
            self.reach.hit(Moment::DeclineWhileHeld);
            self.fault();
            response = declined(response);
        }
        for movement in &movements {
            self.checks.moved(&call.partner, movement);
            if movement.status == RowStatus::Held {
                self.wallets.held.insert((bet.clone(), movement.stake));
            }
        }
        match response.decision {
            Some(HoldDecision::Approved) => {
                self.wallets.answered.insert((bet.clone(), true));
            }
            Some(HoldDecision::Declined) => {
                self.wallets.answered.insert((bet.clone(), false));
            }
            Some(HoldDecision::Voided | HoldDecision::Other) | None => {}
        }
        self.note(20, movements.len().try_into().unwrap_or(0), 0, || {
            format!(
                "{} authorize {bet}: {:?} {:?}",
                call.partner, response.decision, response.status
            )
        });
        serde_json::to_vec(&response).map(Bytes::from).map_err(|_| 500)
    }

    fn state(&mut self, call: &Call, manner: Manner) -> Result<Bytes, u16> {
        let request: StateRequest = serde_json::from_slice(&call.body).map_err(|_| 400_u16)?;
        self.measure(&call.partner, (request.items.len(), call.body.len()))?;
        let known = (call.partner.clone(), request.chunk_id.clone());
        if let Some(answered) = self.wallets.remembered.get(&known) {
            self.reach.hit(Moment::AnsweredFromMemory);
            return Ok(answered.clone());
        }
        let mut results = Vec::with_capacity(request.items.len());
        let (mut left_out, mut lies) = (0, 0);
        for item in &request.items {
            let strange = manner != Manner::Plain && self.rng.chance(500);
            if item.recover && self.wallets.revision_of(&call.partner, &item.bet_id) == 0 {
                self.reach.hit(Moment::ToldAnew);
            }
            if let Some(refused) = self.wallets.refuses(manner, &call.partner, item) {
                lies += 1;
                results.push(refused);
                continue;
            }
            if strange && let Some(said) = self.made_up(call, item, manner) {
                lies += usize::from(manner == Manner::AppliedLie);
                results.push(said);
                continue;
            }
            let result = self.register_state(call, item, manner)?;
            if result.outcome == ItemOutcome::Superseded && !manner.is_unheard() {
                self.reach.hit(Moment::Superseded);
            }
            if strange && manner == Manner::Partial {
                left_out += 1;
            } else {
                results.push(result);
            }
        }
        if 0 < left_out && !results.is_empty() {
            self.reach.hit(Moment::ChunkPartlyAnswered);
        }
        if self.rng.chance(300) {
            results.reverse();
        }
        let ledger_epoch = self.wallets.epoch_of(&call.partner);
        let response = StateResponse { chunk_id: request.chunk_id, ledger_epoch, results };
        let is_final = |result: &StateResult| {
            matches!(result.outcome, ItemOutcome::Applied | ItemOutcome::Superseded)
        };
        let in_full = left_out == 0
            && lies == 0
            && manner != Manner::SupersededLie
            && response.results.iter().all(is_final);
        let body = serde_json::to_vec(&response).map(Bytes::from).map_err(|_| 500_u16)?;
        if self.wallets.dedupes && in_full {
            self.wallets.remembered.insert(known, body.clone());
        }
        Ok(body)
    }

    /// What a partner in this manner says of an item without looking at its register.
    fn made_up(&mut self, call: &Call, item: &StateItem, manner: Manner) -> Option<StateResult> {
        match manner {
            Manner::Pending => Some(said(item, ItemOutcome::Pending, item.revision)),
            Manner::SupersededLie => {
                self.reach.hit(Moment::SupersededLie);
                let above = u32::try_from(self.rng.below(2)).unwrap_or(0);
                Some(said(item, ItemOutcome::Superseded, item.revision + above))
            }
            Manner::AppliedLie => {
                let lie = self.wallets.applied_lie(&call.partner, item)?;
                self.reach.hit(Moment::AppliedLie);
                Some(lie)
            }
            Manner::Plain
            | Manner::Unheard
            | Manner::ErrorAfter
            | Manner::Nonsense
            | Manner::Garbled
            | Manner::Partial
            | Manner::Wrong(..) => None,
        }
    }

    /// What the partner's register says of an item, and does.
    fn register_state(
        &mut self,
        call: &Call,
        item: &StateItem,
        manner: Manner,
    ) -> Result<StateResult, u16> {
        let now = self.now_ms();
        let register = self.wallets.registers.get_mut(&call.partner).ok_or(404_u16)?;
        register.tell_time(now);
        let (mut result, movements) = register.state(item);
        for movement in &movements {
            if 0 < movement.shortfall {
                self.reach.hit(Moment::Shortfall);
            }
            self.checks.moved(&call.partner, movement);
        }
        if result.outcome == ItemOutcome::Applied {
            let moved = movements.first().map(|movement| movement.moved);
            let astray = self.wallets.astray(manner, item, moved);
            let register = self.wallets.registers.get_mut(&call.partner).ok_or(404_u16)?;
            if astray != 0 && register.misapply(&item.bet_id, astray).is_some() {
                (result, _) = register.state(item);
            }
        }
        let moved = movements.len().try_into().unwrap_or(0);
        self.note(21, u64::from(item.revision), moved, || {
            format!(
                "{} state {} r{} {:?} -> {:?} {:?}",
                call.partner, item.bet_id, item.revision, item.target, result.outcome, result.code
            )
        });
        Ok(result)
    }
}

pub(super) fn answer((at, token): (SlotRef, u64), answer: Answer) -> Event {
    Event::Input { at, input: RawInput::Answered { token, answer } }
}

/// The partner checks the time before the row: it declines while it holds the stake (H15).
fn declined(response: AuthorizeResponse) -> AuthorizeResponse {
    AuthorizeResponse {
        decision: Some(HoldDecision::Declined),
        status: RowStatus::Declined,
        code: Some("bet_expired".to_owned()),
        ..response
    }
}

/// A result that did nothing.
pub(super) fn said(
    item: &schemas::contract::StateItem,
    outcome: ItemOutcome,
    revision: u32,
) -> StateResult {
    StateResult {
        bet_id: item.bet_id.clone(),
        revision,
        outcome,
        status: None,
        moved: None,
        collected_net: Some("0".to_owned()),
        shortfall: None,
        replayed: false,
        code: None,
        partner_ref: None,
    }
}
