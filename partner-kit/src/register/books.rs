//! What is read from a register: queries, the rows of a round, its close.

use super::{Register, Row};
use schemas::Currency;
use schemas::contract::{
    AnswerTimes, CapabilitiesResponse, CloseDigest, CloseRequest, CloseResponse, CloseTotal,
    CurrencyBody, QueryRequest, QueryResponse, ROUND_BETS_MAX, RoundBetsResponse, RowBody,
    RowStatus, STATE_BYTES_MAX, STATE_ITEMS_MAX,
};
use schemas::settlements::{REVISION_HELD, REVISION_VOID};
use std::collections::BTreeMap;
use std::ops::Bound;

pub use schemas::contract::API_VERSION;
/// Days for which rows are kept, and corrections taken: the contract's 13 months. This wallet forgets
/// nothing, so it keeps them in truth for as long as its journal is there.
const RETENTION_DAYS: u64 = 400;

/// Sums of one currency of one round; 128 bits, so that a sum of int64 amounts always fits.
#[derive(Default)]
struct Sums {
    bets: u64,
    stake: i128,
    payout: i128,
    voided: u64,
}

impl Register {
    /// The rows of the bets asked for, in that order; `absent` where there is none.
    pub fn query(&self, request: &QueryRequest) -> QueryResponse {
        let rows = request.bet_ids.iter().map(|bet_id| match self.rows.get(bet_id) {
            Some(row) => body(bet_id, row),
            None => RowBody::absent(bet_id.clone()),
        });
        QueryResponse { ledger_epoch: self.ledger_epoch(), rows: rows.collect() }
    }

    /// The rows of a round, ordered by bet id.
    pub fn rows_of<'a>(&'a self, round_id: &str) -> impl Iterator<Item = (&'a str, &'a Row)> {
        self.rows_behind(round_id, "")
    }

    /// A page of the rows of a round behind the bet `after` (from the first if empty), at most `limit`.
    pub fn round_bets(&self, round_id: &str, after: &str, limit: usize) -> RoundBetsResponse {
        let limit = limit.clamp(1, ROUND_BETS_MAX);
        let mut rows: Vec<RowBody> = self
            .rows_behind(round_id, after)
            .take(limit.saturating_add(1))
            .map(|(bet_id, row)| body(bet_id, row))
            .collect();
        let more = limit < rows.len();
        rows.truncate(limit);
        let next = if more { rows.last().map(|row| row.bet_id.clone()) } else { None };
        RoundBetsResponse {
            round_id: round_id.to_owned(),
            ledger_epoch: self.ledger_epoch(),
            rows,
            next,
        }
    }

    /// This side's view of a round. Changes nothing, whatever the request says.
    pub fn close(&self, request: &CloseRequest) -> CloseResponse {
        let mut digest = CloseDigest::new();
        let mut sums: BTreeMap<(Currency, u8), Sums> = BTreeMap::new();
        let mut open_holds = 0_u64;
        for (bet_id, row) in self.rows_of(&request.round_id) {
            if row.revision == REVISION_HELD {
                open_holds = open_holds.saturating_add(1);
            }
            if row.revision <= REVISION_VOID {
                continue;
            }
            digest.row(bet_id, row.revision, row.status, row.stake.units, row.payout);
            let sum = sums.entry((row.stake.currency, row.stake.exponent)).or_default();
            sum.bets = sum.bets.saturating_add(1);
            sum.stake = sum.stake.saturating_add(i128::from(row.stake.units));
            sum.payout = sum.payout.saturating_add(i128::from(row.payout));
            if row.status == RowStatus::Voided {
                sum.voided = sum.voided.saturating_add(1);
            }
        }
        CloseResponse {
            round_id: request.round_id.clone(),
            result_version: request.result_version,
            ledger_epoch: self.ledger_epoch(),
            totals: sums.into_iter().map(total).collect(),
            open_holds,
            digest: digest.finish(),
        }
    }

    /// This register without the first rows of a round: what a wallet would say that has lost them.
    pub fn without(&self, round_id: &str, lost: usize) -> Self {
        let rows: Vec<String> =
            self.rows_of(round_id).take(lost).map(|(bet, _)| bet.to_owned()).collect();
        let mut register = self.clone();
        register.rows.retain(|bet, _| !rows.contains(bet));
        register
    }

    /// What this wallet can do.
    pub fn capabilities(&self) -> CapabilitiesResponse {
        let options = self.options();
        let currencies = options.currencies.iter().map(|(currency, exponent)| CurrencyBody {
            currency: currency.to_string(),
            exponent: i64::from(*exponent),
        });
        CapabilitiesResponse {
            partner_id: options.partner.to_string(),
            api_versions: vec![API_VERSION.to_owned()],
            items_max: u64::try_from(STATE_ITEMS_MAX).unwrap_or(u64::MAX),
            bytes_max: u64::try_from(STATE_BYTES_MAX).unwrap_or(u64::MAX),
            gzip: false,
            signed: true,
            currencies: currencies.collect(),
            claw_back: options.claw_back.as_str().to_owned(),
            correction_window_days: RETENTION_DAYS,
            retention_days: RETENTION_DAYS,
            ledger_epoch: self.ledger_epoch(),
            calls_per_second_max: None,
            answer_ms_max: Some(AnswerTimes { authorize: 1_000, state: 5_000 }),
        }
    }

    /// The epoch as text, as every answer carries it.
    pub fn ledger_epoch(&self) -> String {
        self.options.ledger_epoch.to_string()
    }

    /// A round's bets are neighbours: `<round_id>:` up to, not including, `<round_id>;`.
    fn rows_behind<'a>(
        &'a self,
        round_id: &str,
        after: &str,
    ) -> impl Iterator<Item = (&'a str, &'a Row)> {
        let first = format!("{round_id}:");
        let end = format!("{round_id};");
        let start = if after < first.as_str() {
            Bound::Included(first.as_str())
        } else if after < end.as_str() {
            Bound::Excluded(after)
        } else {
            Bound::Included(end.as_str())
        };
        self.rows
            .range::<str, _>((start, Bound::Excluded(end.as_str())))
            .map(|(bet_id, row)| (bet_id.as_str(), row))
    }
}

fn total(((currency, exponent), sums): ((Currency, u8), Sums)) -> CloseTotal {
    CloseTotal {
        currency: currency.to_string(),
        exponent: i64::from(exponent),
        bets: sums.bets,
        stake: sums.stake.to_string(),
        payout: sums.payout.to_string(),
        voided: sums.voided,
        parked: 0,
    }
}

fn body(bet_id: &str, row: &Row) -> RowBody {
    let payout = match row.status {
        RowStatus::Settled => Some(row.stake.with_units(row.payout).into()),
        RowStatus::Held
        | RowStatus::Declined
        | RowStatus::Voided
        | RowStatus::Absent
        | RowStatus::Other => None,
    };
    RowBody {
        bet_id: bet_id.to_owned(),
        revision: row.revision,
        status: row.status,
        partner_player_id: Some(row.player.to_string()),
        stake: Some(row.stake.into()),
        payout,
        collected_net: Some(row.collected_net.to_string()),
        shortfall: Some(row.shortfall().to_string()),
        code: row.code.map(|code| code.as_str().to_owned()),
        partner_ref: Some(row.partner_ref()),
    }
}
