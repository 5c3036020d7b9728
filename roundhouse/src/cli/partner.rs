//! `roundhouse partner`.

use super::lines::report;
use super::operator::Operator;
use super::{EXIT_FINDING, EXIT_OK};
use crate::config::CurrencyLimits;
use anyhow::Context;
use clap::Subcommand;
use http::Method;
use runtime::telemetry::plain;
use schemas::PartnerId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  roundhouse partner list
  roundhouse partner show acme > acme.toml
  roundhouse partner set acme --from acme.toml --reason 'higher limits, ticket 4711'
  roundhouse partner set acme --wallet-url https://wallet-2.acme.example --reason 'they move tonight'
  roundhouse partner set acme --reply-key whpk_OLD --reply-key whpk_NEW --reason 'they change their key'
  roundhouse partner create bolt --from bolt.toml --reason 'contract of November'
  roundhouse partner check acme
  roundhouse partner check acme --adopt --reason 'their wallet takes 100 at once'
  roundhouse partner pause acme --reason 'their wallet is down, ticket 4711'
  roundhouse partner resume acme --reason 'it answers again'

The file says what `[[partners]]` says in a configuration, without the id:
  wallet_url = 'https://wallet.bolt.example'
  token_key = '<base64url of the public key that verifies tokens>'
  reply_keys = ['whpk_<base64 of the public key that verifies replies of the wallet>']
  calls_per_s = 20    # settlements: only if it takes no more
  stakes_per_s = 400  # stakes: only if it takes no more
  items_max = 100     # settlements in a call: only if it takes no more
  bytes_max = 65536   # bytes of its body, before it is packed: only if it takes no more
  gzip = true         # its body is packed: only if it takes that
  [[currencies]]
  currency = 'EUR'
  exponent = 2
  stake_min_units = 10
  stake_max_units = 100000
  payout_max_units = 10000000
  liability_max_units = 1000000000

The key is that of an operator with the role `partners`, to list and show `read`.

Exit codes:
  0  done
  1  `check`: something is not as it should be
  2  refused, or the API did not answer";

/// Create and change partners, and pause their players' betting.
///
/// Every process follows what is said within a second, also after a restart; it counts before what a
/// configuration says of the same partner. What was bet before is settled as ever, at the wallet's new
/// address. Nobody is deleted: pause who is to take no more bets.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the partners, and who paused or resumed each last, and why
    List(Ask),
    /// Print what a partner is, in the form of the file that `set` takes
    Show(Show),
    /// Ask a partner's wallet what it can do, and say what of it does not do
    Check(Check),
    /// Make a new partner
    Create(Create),
    /// Change what a partner is
    Set(Set),
    /// Take no more bets of this partner's players
    Pause(Say),
    /// Take bets of this partner's players again
    Resume(Say),
}

#[derive(Debug, clap::Args)]
struct Ask {
    #[command(flatten)]
    operator: Operator,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The partner
    #[arg(value_name = "PARTNER")]
    partner: PartnerId,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
struct Check {
    #[command(flatten)]
    show: Show,
    /// Have its profile say what its wallet says that it takes: items and bytes of a call with settlements, whether it may be
    /// packed, and the rate of calls with settlements where it is above that
    #[arg(long, requires = "reason")]
    adopt: bool,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT", requires = "adopt")]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// A file with what the partner is, in TOML
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    say: Say,
}

#[derive(Debug, clap::Args)]
#[group(id = "change", required = true, multiple = true, args = ["from", "wallet_url", "token_key", "reply_keys", "calls_per_s", "stakes_per_s", "items_max", "bytes_max", "gzip"])]
struct Set {
    /// A file with all that the partner is, in TOML
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Base URL of its wallet: what stands before /wallet/v1
    #[arg(long, value_name = "URL")]
    wallet_url: Option<String>,
    /// The public key that verifies its players' tokens; no token of the old one is taken any more
    #[arg(long, value_name = "KEY")]
    token_key: Option<String>,
    /// A public key that verifies the wallet's replies; give both while it changes its key
    #[arg(long = "reply-key", value_name = "KEY")]
    reply_keys: Vec<String>,
    /// Calls a second that its wallet takes of each kind of settlements; 0 for as many as the configuration says
    #[arg(long, value_name = "NUMBER")]
    calls_per_s: Option<u32>,
    /// Stakes that its wallet is asked for in a second by each process that takes bets; 0 for as many as the
    /// configuration says
    #[arg(long, value_name = "NUMBER")]
    stakes_per_s: Option<u32>,
    /// Settlements that a call to its wallet may carry, 1 to 500; 0 for as many as the configuration says
    #[arg(long, value_name = "NUMBER")]
    items_max: Option<u32>,
    /// Bytes that the body of such a call may have before it is packed, from 4096; 0 for 262144
    #[arg(long, value_name = "NUMBER")]
    bytes_max: Option<u32>,
    /// Whether the body of such a call is packed (gzip)
    #[arg(long, value_name = "BOOL")]
    gzip: Option<bool>,
    #[command(flatten)]
    say: Say,
}

#[derive(Debug, clap::Args)]
struct Say {
    /// The partner
    #[arg(value_name = "PARTNER")]
    partner: PartnerId,
    /// Why; it stands in the log with your name, and of a pause it is told to players
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    ask: Ask,
}

/// What a partner is, as a file says it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    wallet_url: String,
    token_key: String,
    #[serde(default)]
    reply_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_s: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stakes_per_s: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items_max: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_max: Option<NonZeroU32>,
    #[serde(default)]
    gzip: bool,
    currencies: Vec<CurrencyLimits>,
}

impl Profile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("{} cannot be read", path.display()))?;
        toml::from_str(&text).with_context(|| format!("{} is not a partner", path.display()))
    }

    /// As the API takes it.
    fn body(&self, reason: &str) -> Value {
        let currency = |limits: &CurrencyLimits| {
            json!({
                "currency": limits.currency,
                "exponent": limits.exponent,
                "stake_min_units": limits.stake_min_units.to_string(),
                "stake_max_units": limits.stake_max_units.to_string(),
                "payout_max_units": limits.payout_max_units.to_string(),
                "liability_max_units": limits.liability_max_units.to_string(),
            })
        };
        json!({
            "wallet_url": self.wallet_url,
            "token_key": self.token_key,
            "reply_keys": self.reply_keys,
            "calls_per_s": self.calls_per_s,
            "stakes_per_s": self.stakes_per_s,
            "items_max": self.items_max,
            "bytes_max": self.bytes_max,
            "gzip": self.gzip,
            "currencies": self.currencies.iter().map(currency).collect::<Vec<_>>(),
            "reason": reason,
        })
    }
}

#[derive(Debug, Deserialize, Serialize)]
struct Partners {
    partners: Vec<Partner>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Partner {
    partner_id: String,
    betting: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    profile: Shown,
}

/// What a partner is, as the API shows it.
#[derive(Debug, Deserialize, Serialize)]
struct Shown {
    wallet_url: String,
    token_key: String,
    reply_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls_per_s: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stakes_per_s: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items_max: Option<NonZeroU32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_max: Option<NonZeroU32>,
    #[serde(default)]
    gzip: bool,
    currencies: Vec<ShownLimits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<SetBy>,
}

#[derive(Debug, Deserialize, Serialize)]
struct ShownLimits {
    currency: String,
    exponent: u8,
    stake_min_units: String,
    stake_max_units: String,
    payout_max_units: String,
    liability_max_units: String,
}

#[derive(Debug, Deserialize, Serialize)]
struct SetBy {
    reason: String,
    actor: String,
    at: String,
}

impl Shown {
    fn profile(&self) -> anyhow::Result<Profile> {
        let limits = |shown: &ShownLimits| -> anyhow::Result<CurrencyLimits> {
            Ok(CurrencyLimits {
                currency: shown.currency.clone(),
                exponent: shown.exponent,
                stake_min_units: shown.stake_min_units.parse()?,
                stake_max_units: shown.stake_max_units.parse()?,
                payout_max_units: shown.payout_max_units.parse()?,
                liability_max_units: shown.liability_max_units.parse()?,
            })
        };
        let currencies = self.currencies.iter().map(limits).collect::<anyhow::Result<_>>();
        Ok(Profile {
            wallet_url: self.wallet_url.clone(),
            token_key: self.token_key.clone(),
            reply_keys: self.reply_keys.clone(),
            calls_per_s: self.calls_per_s,
            stakes_per_s: self.stakes_per_s,
            items_max: self.items_max,
            bytes_max: self.bytes_max,
            gzip: self.gzip,
            currencies: currencies.context("the API answered nonsense")?,
        })
    }
}

/// What a wallet was found to be.
#[derive(Debug, Deserialize, Serialize)]
struct Checked {
    partner_id: String,
    differences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capabilities: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<Shown>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Shown { items_max, bytes_max, gzip, calls_per_s, stakes_per_s, .. }) =
            &self.profile
        {
            for (what, number) in [
                ("items_max", items_max),
                ("bytes_max", bytes_max),
                ("calls_per_s", calls_per_s),
                ("stakes_per_s", stakes_per_s),
            ] {
                let number = number.map_or_else(|| "as configured".to_owned(), |n| n.to_string());
                writeln!(f, "{what}: {number}")?;
            }
            writeln!(f, "gzip: {gzip}")?;
        }
        if self.differences.is_empty() {
            writeln!(f, "the wallet of {} is as it should be", self.partner_id)?;
        }
        self.differences.iter().try_for_each(|difference| writeln!(f, "{}", plain(difference)))
    }
}

/// A partner as a file, and who said so.
#[derive(Serialize)]
#[serde(transparent)]
struct File<'a>(&'a Partner);

impl fmt::Display for File<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.profile.set {
            Some(SetBy { reason, actor, at }) => {
                let (actor, reason) = (plain(actor), plain(reason));
                writeln!(f, "# set by {actor} at {at}: {reason}")?;
            }
            None => writeln!(f, "# as the configuration says")?,
        }
        let profile = self.0.profile.profile().map_err(|_| fmt::Error)?;
        f.write_str(&toml::to_string(&profile).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Display for Partners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<24} {:<8} {:<24} {:<16} REASON", "PARTNER", "BETTING", "SINCE", "BY")?;
        for Partner { partner_id, betting, reason, actor, since, .. } in &self.partners {
            let [since, actor, reason] =
                [since, actor, reason].map(|text| plain(text.as_deref().unwrap_or("-")));
            writeln!(f, "{partner_id:<24} {betting:<8} {since:<24} {actor:<16} {reason}")?;
        }
        if self.partners.is_empty() {
            writeln!(f, "there are no partners")?;
        }
        Ok(())
    }
}

/// Asks the API about one partner.
async fn partner(
    ask: &Ask,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Partner> {
    let answer = ask.operator.api()?.ask(method, path, body).await.map_err(anyhow::Error::msg)?;
    serde_json::from_value(answer).context("the API answered nonsense")
}

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    match args.what {
        What::List(ask) => {
            let answer = ask.operator.api()?.ask(Method::GET, "/v1/partners", None).await;
            let answer = answer.map_err(anyhow::Error::msg)?;
            let partners: Partners =
                serde_json::from_value(answer).context("the API answered nonsense")?;
            report(&partners, ask.json)?;
        }
        What::Show(Show { partner: id, ask }) => {
            let path = format!("/v1/partners/{id}");
            let shown = partner(&ask, Method::GET, &path, None).await?;
            report(&File(&shown), ask.json)?;
        }
        What::Check(Check { show: Show { partner: id, ask }, adopt: _, reason }) => {
            let path = format!("/v1/partners/{id}/check");
            let body = reason.map(|reason| json!({"reason": reason}));
            let method = if body.is_some() { Method::POST } else { Method::GET };
            let answer = ask.operator.api()?.ask(method, &path, body.as_ref()).await;
            let answer = answer.map_err(anyhow::Error::msg)?;
            let checked: Checked =
                serde_json::from_value(answer).context("the API answered nonsense")?;
            report(&checked, ask.json)?;
            return Ok(if checked.differences.is_empty() { EXIT_OK } else { EXIT_FINDING });
        }
        What::Create(Create { from, say: Say { partner: id, reason, ask } }) => {
            let mut body = Profile::read(&from)?.body(&reason);
            body["partner_id"] = json!(id);
            let made = partner(&ask, Method::POST, "/v1/partners", Some(&body)).await?;
            report(&File(&made), ask.json)?;
        }
        What::Set(set) => {
            let Set { from, wallet_url, token_key, reply_keys, .. } = set;
            let Say { partner: id, reason, ask } = set.say;
            let path = format!("/v1/partners/{id}");
            let mut profile = match from {
                Some(from) => Profile::read(&from)?,
                None => partner(&ask, Method::GET, &path, None).await?.profile.profile()?,
            };
            profile.wallet_url = wallet_url.unwrap_or(profile.wallet_url);
            profile.token_key = token_key.unwrap_or(profile.token_key);
            if !reply_keys.is_empty() {
                profile.reply_keys = reply_keys;
            }
            profile.calls_per_s = set.calls_per_s.map_or(profile.calls_per_s, NonZeroU32::new);
            profile.stakes_per_s = set.stakes_per_s.map_or(profile.stakes_per_s, NonZeroU32::new);
            profile.items_max = set.items_max.map_or(profile.items_max, NonZeroU32::new);
            profile.bytes_max = set.bytes_max.map_or(profile.bytes_max, NonZeroU32::new);
            profile.gzip = set.gzip.unwrap_or(profile.gzip);
            let body = profile.body(&reason);
            let changed = partner(&ask, Method::PUT, &path, Some(&body)).await?;
            report(&File(&changed), ask.json)?;
        }
        What::Pause(say) => pause(say, "pause").await?,
        What::Resume(say) => pause(say, "resume").await?,
    }
    Ok(EXIT_OK)
}

async fn pause(Say { partner: id, reason, ask }: Say, word: &str) -> anyhow::Result<()> {
    let (path, body) = (format!("/v1/partners/{id}/{word}"), json!({"reason": reason}));
    let said = partner(&ask, Method::POST, &path, Some(&body)).await?;
    report(&Partners { partners: vec![said] }, ask.json)
}
