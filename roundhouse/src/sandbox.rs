//! The sandbox: one wallet, one operator, one partner, one player, and lines to paste.
//!
//! Keys are made once and kept in `DIR/sandbox`, so that a restart knows its players again.

use crate::config::Config;
use crate::engine::JOURNALS;
use crate::rig::keys::{PartnerKey, secret, wallet_keys};
use crate::rig::processes::{Wallets, WalletsPlan};
use crate::rig::setup;
use anyhow::{Context, bail};
use runtime::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The player whose token is printed.
pub const PLAYER: &str = "player-1";
/// The partner.
const PARTNER: &str = "sandbox";
/// What the player of bet-maker has at least after a start, in minor units: 1,000,000.00 EUR.
const TOPPED_UP_UNITS: i64 = 100_000_000;
/// Where the wallet listens: on any free port.
const WALLET_LISTEN: &str = "127.0.0.1:0";

/// What is kept of a sandbox.
#[derive(Serialize, Deserialize)]
struct Kept {
    operator_key: String,
    partner_secret: String,
}

/// A running sandbox.
pub struct Sandbox {
    wallets: Wallets,
    operator_key: String,
    key: PartnerKey,
    data_dir: String,
    own: Own,
}

/// A configuration with what is a sandbox's own.
#[derive(Clone)]
pub struct Own(Config);

impl Own {
    /// Adds the sandbox's operator and partner to `config`.
    pub fn join(&self, config: &mut Config) {
        let made = self.0.clone();
        config.operators.extend(made.operators);
        config.partners.extend(made.partners);
        config.signing.keys.extend(made.signing.keys);
        config.wallets.allow.extend(made.wallets.allow);
        config.wallets.plain_http = true;
        config.simple.open = true;
        // No load balancer stands before it, and whoever presses Ctrl-C waits.
        config.server.drain_notice_ms = 0;
        config.simple.partner = PARTNER.to_owned();
        config.simple.partner_secret = made.simple.partner_secret;
    }
}

impl Sandbox {
    /// Starts the wallet of a sandbox in the data directory of `config`.
    ///
    /// # Errors
    /// If keys cannot be made or kept, or the wallet cannot be started.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let data_dir = config.storage.data_dir.clone();
        let kept = keep(&data_dir)?;
        let key = PartnerKey::of_secret(PARTNER, &kept.partner_secret)?;
        let plan = WalletsPlan {
            exe: std::env::current_exe().context("this binary is not to be found")?,
            partners: vec![PARTNER.to_owned()],
            keys: wallet_keys(&kept.operator_key, &[(PARTNER.to_owned(), key.clone())].into()),
            journals: data_dir.join(JOURNALS),
            arguments: Vec::new(),
        };
        let wallets = Wallets::start(plan, WALLET_LISTEN).await?;
        let url = wallets.urls.get(PARTNER).cloned().unwrap_or_default();
        let partners = BTreeMap::from([(PARTNER.to_owned(), (key.clone(), url))]);
        let mut made = setup::config(&kept.operator_key, &partners)?;
        made.simple.partner_secret = kept.partner_secret;
        let wallet = wallets.urls.get(PARTNER).cloned().unwrap_or_default();
        setup::top_up(&wallet, &config.simple.player, TOPPED_UP_UNITS).await?;
        let data_dir = data_dir.display().to_string();
        Ok(Self { wallets, operator_key: kept.operator_key, key, data_dir, own: Own(made) })
    }

    /// What is added to a configuration, each time it is read.
    pub fn own(&self) -> Own {
        self.own.clone()
    }

    /// A token of `player` for the sandbox in `data_dir`.
    ///
    /// # Errors
    /// If no sandbox ran there.
    pub fn token(data_dir: &Path, player: &str) -> anyhow::Result<String> {
        let path = data_dir.join(KEYS);
        if !path.is_file() {
            bail!("no sandbox ran in {}: start one with `serve --sandbox`", data_dir.display());
        }
        let kept = keep(data_dir)?;
        let key = PartnerKey::of_secret(PARTNER, &kept.partner_secret)?;
        Ok(key.token(player, SystemClock.now()))
    }

    /// What to paste, for a server at `url`.
    pub fn lines(&self, url: &str) -> String {
        let Self { operator_key, data_dir, .. } = self;
        let token = self.key.token(PLAYER, SystemClock.now());
        let wallet = self.wallets.urls.values().next().map(String::as_str).unwrap_or_default();
        // A round's name of its own for each start, so that the lines work every time.
        let round = format!("r-{}", SystemClock.now());
        format!(
            r#"
The sandbox is ready. Paste these into another terminal, one after the other.

URL={url}
KEY={operator_key}
TOKEN={token}
ROUND={round}

# Open a round of a die; betting ends in two minutes
curl -sS -w '\n' $URL/v1/rounds -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -d '{{"round_id":"'$ROUND'","game":"die","betting_ms":120000,"selections":[{{"id":"odd","odds":"1.95"}},{{"id":"even","odds":"1.95"}},{{"id":"4","odds":"5.70"}}]}}'

# A player bets 12.50 EUR on even
ANSWER=$(curl -sS $URL/v1/bets -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -d '{{"client_ref":"my-first-bet","round_id":"'$ROUND'","selection":"even","stake":{{"units":"1250","currency":"EUR","exponent":2}},"odds":"1.95"}}')
echo "$ANSWER"; BET=$(echo "$ANSWER" | sed 's/.*"bet_id":"\([^"]*\)".*/\1/')

# Close betting, and say the result; it waits until every bet before the cut-off is known
curl -sS -w '\n' -X POST $URL/v1/rounds/$ROUND/close -H "Authorization: Bearer $KEY"
curl -sS -w '\n' "$URL/v1/rounds/$ROUND/result?wait=true" -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \
  -d '{{"replaces":0,"outcome":"4"}}'

# The bet's life, and the player's money at the wallet
curl -sS -w '\n' $URL/v1/bets/$BET -H "Authorization: Bearer $TOKEN"
curl -sS -w '\n' {wallet}/stats

# Or through the simple APIs, as a player of their own; each has its page: {url}/line-provider/docs/ and
# {url}/bet-maker/docs/
curl -sS -w '\n' $URL/line-provider/events -H 'Content-Type: application/json' \
  -d '{{"event_id":"match-'$ROUND'","coefficient":"1.50","deadline":'$(($(date +%s) + 60))'}}'
curl -sS -w '\n' $URL/bet-maker/bet -H 'Content-Type: application/json' -d '{{"event_id":"match-'$ROUND'","amount":"10.00"}}'
curl -sS -w '\n' -X PATCH $URL/line-provider/events/match-$ROUND -H 'Content-Type: application/json' -d '{{"state":2}}'
curl -sS -w '\n' $URL/bet-maker/bets

# The token is good for 15 minutes; a new one:
#   TOKEN=$(roundhouse token --data-dir {data_dir})
# When the server is stopped (Ctrl-C), every cent can be checked:
#   roundhouse audit --data-dir {data_dir}"#
        )
    }

    /// Stops the wallet.
    ///
    /// # Errors
    /// If it does not end well.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.wallets.stop().await
    }
}

/// The keys, below the data directory.
const KEYS: &str = "sandbox/keys.json";

/// Reads the keys, making them the first time.
fn keep(data_dir: &Path) -> anyhow::Result<Kept> {
    let path = data_dir.join(KEYS);
    if path.is_file() {
        let text = std::fs::read(&path)
            .with_context(|| format!("the sandbox's keys {} cannot be read", path.display()))?;
        return serde_json::from_slice(&text)
            .with_context(|| format!("{} holds no sandbox's keys; remove it", path.display()));
    }
    let kept = Kept { operator_key: secret()?, partner_secret: secret()? };
    let unwritten = || format!("the sandbox's keys cannot be kept in {}", path.display());
    std::fs::create_dir_all(data_dir.join(JOURNALS)).with_context(unwritten)?;
    let text = serde_json::to_vec(&kept).with_context(unwritten)?;
    std::fs::write(&path, text).with_context(unwritten)?;
    Ok(kept)
}
