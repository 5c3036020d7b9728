//! A partner's wallet asked what it can do and how it is, against what is known of the partner here: for people, before
//! and after it goes live. What it says that it takes counts once an operator has taken it over into its profile.

use crate::partners::{Partner, Partners};
use crate::placing::Limits;
use http::{HeaderName, HeaderValue, Method};
use runtime::http::{HttpOptions, Message};
use runtime::{Clock, Millis};
use schemas::PartnerId;
use schemas::contract::{
    ANSWER_BYTES_MAX, API_VERSION, CAPABILITIES_PATH, CapabilitiesResponse, HEALTH_PATH,
    HealthResponse, STATE_BYTES_MAX, STATE_BYTES_MIN, STATE_ITEMS_MAX, get_id, parse_timestamp,
};
use schemas::partners::{Profile, StateCalls};
use serde::de::DeserializeOwned;
use std::num::NonZeroU32;
use std::time::Duration;

/// The longest wait for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
const HTTP: HttpOptions = HttpOptions {
    connect_wait_max: Duration::from_secs(2),
    idle_max: Duration::from_secs(1),
    idle_connections_max: 1,
};
/// What a partner's clock may differ (contract 5).
const CLOCK_MS_MAX: Millis = 2_000;
/// Days in which corrections must be taken, and for which rows must be kept (contract 7 and 8).
const CORRECTION_DAYS_MIN: u64 = 30;
const RETENTION_DAYS_MIN: u64 = 395;

/// What a wallet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What it says that it can do, or why that cannot be read.
    pub capabilities: Result<CapabilitiesResponse, String>,
    /// How it is, or why that cannot be read.
    health: Result<HealthResponse, String>,
    /// When it was asked how it is, and when it had answered.
    at: (Millis, Millis),
}

impl Asked {
    /// Asks the wallet of `partner`.
    pub async fn of(partners: &Partners, partner: &PartnerId, clock: &impl Clock) -> Self {
        let capabilities = get(partners, partner, CAPABILITIES_PATH, clock).await;
        let asked_at = clock.now();
        let health = get(partners, partner, HEALTH_PATH, clock).await;
        Self { capabilities, health, at: (asked_at, clock.now()) }
    }

    /// A sentence for each thing that is not as it should be for the partner as it is known here.
    pub fn differences(&self, partner: &Partner) -> Vec<String> {
        let unread = |what, why| vec![format!("its {what} cannot be read: {why}")];
        let mut differences = match &self.capabilities {
            Ok(said) => of_capabilities(partner, said),
            Err(why) => unread("capabilities", why),
        };
        differences.extend(match &self.health {
            Ok(said) => of_health(partner, said, self.at),
            Err(why) => unread("health", why),
        });
        differences
    }
}

/// The profile of `partner` with what its wallet says that it takes; none if it says that it is another's wallet or does
/// not speak our version, or if no settlement could be told within that. A rate is lowered alone: a smaller one was agreed
/// on by people. The rate of stakes stays as it is: how many bets players may make is no wallet's word alone.
pub fn adopted(
    partner: &PartnerId,
    profile: &Profile,
    said: &CapabilitiesResponse,
) -> Option<Profile> {
    if said.partner_id != partner.as_str() || !speaks_our_version(said) {
        return None;
    }
    let number = |theirs: u64| u32::try_from(theirs).unwrap_or(u32::MAX);
    // Nothing where it takes as much as there ever is.
    let less = |theirs: u64, most: usize| {
        let all = u64::try_from(most).is_ok_and(|most| most <= theirs);
        if all { Some(None) } else { NonZeroU32::new(number(theirs)).map(Some) }
    };
    let state_calls = StateCalls {
        items_max: less(said.items_max, STATE_ITEMS_MAX)?,
        bytes_max: less(said.bytes_max, STATE_BYTES_MAX)?,
        gzip: said.gzip,
    };
    state_calls.check().ok()?;
    let theirs = match said.calls_per_second_max {
        Some(theirs) => Some(NonZeroU32::new(number(theirs))?),
        None => None,
    };
    let calls_per_s = profile.calls_per_s.into_iter().chain(theirs).min();
    Some(Profile { state_calls, calls_per_s, ..profile.clone() })
}

fn speaks_our_version(said: &CapabilitiesResponse) -> bool {
    said.api_versions.iter().any(|date| date == API_VERSION)
}

async fn get<T: DeserializeOwned>(
    partners: &Partners,
    partner: &PartnerId,
    path: &'static str,
    clock: &impl Clock,
) -> Result<T, String> {
    let version = (HeaderName::from_static("api-version"), HeaderValue::from_static(API_VERSION));
    let (id, headers) = (get_id(partner, path), [version]);
    let (method, headers) = (Method::GET, &headers);
    let message = Message { id: &id, method, path, route: path, headers, body: None };
    let wallets = partners.wallets();
    let client = wallets.client(HTTP);
    let called = wallets.call(&client, partner, message, ANSWER_WAIT_MAX, ANSWER_BYTES_MAX, clock);
    let answer = called.await.map_err(|error| error.to_string())?;
    if answer.status != 200 {
        return Err(format!("it answers {}", answer.status));
    }
    serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
}

/// What of these capabilities does not do for the partner as it is known here.
fn of_capabilities(partner: &Partner, said: &CapabilitiesResponse) -> Vec<String> {
    let mut differences = of_names(partner, &said.partner_id, &said.ledger_epoch);
    if !speaks_our_version(said) {
        let spoken = said.api_versions.join(", ");
        differences.push(format!("it speaks {spoken}, and is spoken to as {API_VERSION}"));
    }
    for (currency, limits) in &partner.profile.currencies {
        let theirs = said.currencies.iter().find(|one| one.currency == currency.as_str());
        match theirs {
            None => differences
                .push(format!("it does not take {currency}, and its players may bet in it")),
            Some(theirs) if theirs.exponent != i64::from(limits.exponent) => {
                let (exponent, theirs) = (limits.exponent, theirs.exponent);
                differences
                    .push(format!("{currency} has {theirs} decimals there and {exponent} here"));
            }
            Some(_) => {}
        }
    }
    differences.extend(of_state_calls(&partner.profile.state_calls, said));
    for (what, theirs, wanted) in [
        ("days in which a correction is taken", said.correction_window_days, CORRECTION_DAYS_MIN),
        ("days for which a row is kept", said.retention_days, RETENTION_DAYS_MIN),
    ] {
        if theirs < wanted {
            differences.push(format!("{what}: {theirs}, and at least {wanted} are needed"));
        }
    }
    if !matches!(said.claw_back.as_str(), "negative" | "collect_available") {
        differences.push(format!("`{}` is no claw-back policy", said.claw_back));
    }
    if let Some(theirs) = said.calls_per_second_max {
        let profile = &partner.profile;
        for (field, ours) in
            [("calls_per_s", profile.calls_per_s), ("stakes_per_s", profile.stakes_per_s)]
        {
            let has = match ours {
                Some(ours) if u64::from(ours.get()) <= theirs => continue,
                Some(ours) => format!("has {ours}"),
                None => "has no limit".to_owned(),
            };
            differences.push(format!(
                "calls a second: it takes {theirs} of each kind, and its profile {has} ({field})"
            ));
        }
    }
    let budget_ms = u64::from(Limits::STANDARD.attempt_ms);
    let authorize_ms = said.answer_ms_max.as_ref().map_or(0, |times| times.authorize);
    if budget_ms < authorize_ms {
        differences.push(format!(
            "it may take {authorize_ms} ms for a stake, and {budget_ms} ms are waited"
        ));
    }
    differences
}

/// Where state calls may be more than the wallet takes.
fn of_state_calls(ours: &StateCalls, said: &CapabilitiesResponse) -> Vec<String> {
    let mut differences = Vec::new();
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (items, bytes) = ours.within((STATE_ITEMS_MAX, STATE_BYTES_MAX));
    for (what, field, theirs, least, ours) in [
        ("items", "items_max", said.items_max, 1, items),
        ("bytes", "bytes_max", said.bytes_max, STATE_BYTES_MIN, bytes),
    ] {
        if theirs < number(least) {
            differences
                .push(format!("{what} in a state call: {theirs}, and at least {least} are needed"));
        } else if theirs < number(ours) {
            differences.push(format!(
                "{what} in a state call: it takes {theirs}, and its profile has {ours} ({field})"
            ));
        }
    }
    if ours.gzip && !said.gzip {
        differences
            .push("it takes nothing packed, and its profile has it packed (gzip)".to_owned());
    }
    differences
}

/// What is not well with it. `asked` is when it was asked and when it had answered.
fn of_health(
    partner: &Partner,
    said: &HealthResponse,
    (asked_at, answered_at): (Millis, Millis),
) -> Vec<String> {
    let mut differences = of_names(partner, &said.partner_id, &said.ledger_epoch);
    if said.status != "ok" {
        differences.push(format!("its health is `{}`", said.status));
    }
    match parse_timestamp(&said.time) {
        None => differences.push(format!("`{}` is no time", said.time)),
        Some(time) => {
            let (early, late) = (asked_at.saturating_sub(time), time.saturating_sub(answered_at));
            let off = early.max(late);
            if CLOCK_MS_MAX < off {
                differences.push(format!("its clock is {off} ms away from ours"));
            }
        }
    }
    differences
}

fn of_names(partner: &Partner, id: &str, epoch: &str) -> Vec<String> {
    let mut differences = Vec::new();
    if id != partner.id.as_str() {
        differences.push(format!("it says that it is the wallet of `{id}`"));
    }
    if let Some((counts, _)) = &partner.ledger
        && counts.epoch != epoch
    {
        let counts = &counts.epoch;
        differences.push(format!("its ledger is at epoch `{epoch}`, and `{counts}` counts here"));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partners::Betting;
    use schemas::contract::{AnswerTimes, CurrencyBody, timestamp};
    use schemas::partners::{CurrencyLimits, LedgerWord, Said};

    const NOW: Millis = 1_800_000_000_000;

    fn partner() -> Partner {
        let by = Said { reason: String::new(), actor: String::new(), said_at: 0 };
        Partner {
            id: "acme".parse().unwrap(),
            profile: Profile {
                wallet_url: "https://acme".to_owned(),
                token_key: String::new(),
                reply_keys: Vec::new(),
                calls_per_s: Some(50.try_into().unwrap()),
                stakes_per_s: Some(40.try_into().unwrap()),
                state_calls: StateCalls::default(),
                currencies: [("EUR".parse().unwrap(), CurrencyLimits::unlimited(2))].into(),
            },
            set: None,
            betting: Betting::default(),
            ledger: Some((LedgerWord { epoch: "7".to_owned(), restored: false }, by)),
        }
    }

    fn good() -> CapabilitiesResponse {
        let of =
            |currency: &str, exponent| CurrencyBody { currency: currency.to_owned(), exponent };
        CapabilitiesResponse {
            partner_id: "acme".to_owned(),
            api_versions: vec!["2025-01-01".to_owned(), API_VERSION.to_owned()],
            items_max: 500,
            bytes_max: 262_144,
            gzip: false,
            signed: true,
            currencies: vec![of("EUR", 2), of("JPY", 0)],
            claw_back: "negative".to_owned(),
            correction_window_days: 30,
            retention_days: 395,
            ledger_epoch: "7".to_owned(),
            calls_per_second_max: Some(50),
            answer_ms_max: Some(AnswerTimes { authorize: 1_500, state: 60_000 }),
        }
    }

    type Change = fn(&mut CapabilitiesResponse);

    #[test]
    fn each_difference_is_one_sentence() {
        assert_eq!(of_capabilities(&partner(), &good()), Vec::<String>::new());
        let mut unlimited = partner();
        unlimited.profile.stakes_per_s = None;
        let told = of_capabilities(&unlimited, &good());
        let wanted =
            "calls a second: it takes 50 of each kind, and its profile has no limit (stakes_per_s)";
        assert_eq!(told, [wanted]);
        let changes: [(Change, &str); 13] = [
            (|said| said.partner_id = "bolt".to_owned(), "it says that it is the wallet of `bolt`"),
            (
                |said| said.ledger_epoch = "8".to_owned(),
                "its ledger is at epoch `8`, and `7` counts here",
            ),
            (
                |said| drop(said.currencies.remove(0)),
                "it does not take EUR, and its players may bet in it",
            ),
            (|said| said.currencies[0].exponent = 3, "EUR has 3 decimals there and 2 here"),
            (
                |said| said.items_max = 499,
                "items in a state call: it takes 499, and its profile has 500 (items_max)",
            ),
            (
                |said| said.bytes_max -= 1,
                "bytes in a state call: it takes 262143, and its profile has 262144 (bytes_max)",
            ),
            (|said| said.items_max = 0, "items in a state call: 0, and at least 1 are needed"),
            (
                |said| said.bytes_max = 4_095,
                "bytes in a state call: 4095, and at least 4096 are needed",
            ),
            (
                |said| said.correction_window_days = 29,
                "days in which a correction is taken: 29, and at least 30 are needed",
            ),
            (
                |said| said.retention_days = 394,
                "days for which a row is kept: 394, and at least 395 are needed",
            ),
            (
                |said| said.calls_per_second_max = Some(49),
                "calls a second: it takes 49 of each kind, and its profile has 50 (calls_per_s)",
            ),
            (|said| said.claw_back = "none".to_owned(), "`none` is no claw-back policy"),
            (
                |said| said.answer_ms_max = Some(AnswerTimes { authorize: 1_501, state: 1 }),
                "it may take 1501 ms for a stake, and 1500 ms are waited",
            ),
        ];
        for (change, wanted) in changes {
            let mut said = good();
            change(&mut said);
            assert_eq!(of_capabilities(&partner(), &said), [wanted]);
        }
        let mut older = good();
        older.api_versions.pop();
        let wanted = format!("it speaks 2025-01-01, and is spoken to as {API_VERSION}");
        assert_eq!(of_capabilities(&partner(), &older), [wanted]);
    }

    #[test]
    fn what_a_wallet_takes_less_of_is_taken_over_and_no_difference_is_left() {
        let mut partner = partner();
        partner.profile.state_calls.gzip = true;
        let mut said = CapabilitiesResponse {
            items_max: 10,
            bytes_max: 4_096,
            calls_per_second_max: Some(45),
            ..good()
        };
        assert_eq!(of_capabilities(&partner, &said).len(), 4);
        let after = adopted(&partner.id, &partner.profile, &said).unwrap();
        let number = NonZeroU32::new;
        let state_calls =
            StateCalls { items_max: number(10), bytes_max: number(4_096), gzip: false };
        assert_eq!(after.state_calls, state_calls);
        assert_eq!((after.calls_per_s, after.stakes_per_s), (number(45), number(40)));
        assert_eq!(after.wallet_url, partner.profile.wallet_url);
        partner.profile = after;
        assert_eq!(of_capabilities(&partner, &said), Vec::<String>::new());
        partner.profile.stakes_per_s = None;
        let told = of_capabilities(&partner, &said);
        assert!(told[0].ends_with("has no limit (stakes_per_s)"), "{told:?}");
        let after = adopted(&partner.id, &partner.profile, &said).unwrap();
        assert_eq!(after, partner.profile, "people agree on how many may bet");

        said = CapabilitiesResponse { gzip: true, calls_per_second_max: None, ..good() };
        said.items_max = u64::MAX;
        let after = adopted(&partner.id, &partner.profile, &said).unwrap();
        assert_eq!(after.state_calls, StateCalls { gzip: true, ..StateCalls::default() });
        assert_eq!(after.calls_per_s, number(45), "it says nothing of a rate");
        for change in [
            |said: &mut CapabilitiesResponse| said.items_max = 0,
            |said: &mut CapabilitiesResponse| said.bytes_max = 4_095,
            |said: &mut CapabilitiesResponse| said.calls_per_second_max = Some(0),
            |said: &mut CapabilitiesResponse| said.partner_id = "bolt".to_owned(),
            |said: &mut CapabilitiesResponse| said.api_versions.truncate(1),
        ] {
            let mut said = good();
            change(&mut said);
            assert_eq!(adopted(&partner.id, &partner.profile, &said), None, "{said:?}");
        }
    }

    #[test]
    fn a_clock_counts_from_question_to_answer() {
        let found = |time: Millis, status: &str| {
            let said = HealthResponse {
                status: status.to_owned(),
                partner_id: "acme".to_owned(),
                time: timestamp(time),
                ledger_epoch: "7".to_owned(),
            };
            of_health(&partner(), &said, (NOW, NOW + 500))
        };
        assert_eq!(found(NOW - 2_000, "ok"), Vec::<String>::new());
        assert_eq!(found(NOW + 2_500, "ok"), Vec::<String>::new());
        assert_eq!(found(NOW - 2_001, "ok"), ["its clock is 2001 ms away from ours"]);
        assert_eq!(found(NOW + 2_501, "ok"), ["its clock is 2001 ms away from ours"]);
        assert_eq!(found(NOW, "failed"), ["its health is `failed`"]);
    }
}
