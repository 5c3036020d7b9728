//! `roundhouse key`.

use super::EXIT_OK;
use super::lines::report;
use super::place::Place;
use crate::rig::keys::random;
use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;
use signing::SecretKey;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  A key for signing.keys of our configuration, or for a partner's replies:
    roundhouse key new

  A secret that both sides hold, for a wallet that signs with HMAC:
    roundhouse key new --shared

  What partners verify our messages with:
    roundhouse key public --config roundhouse.toml";

/// Make the keys with which messages to partners and their replies are signed.
///
/// They are written as Standard Webhooks writes them: whsk_ is secret, whpk_ its public half, whsec_ a
/// secret that both sides hold.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new key; keep its secret
    New(New),
    /// Print the public halves of the keys that a server signs with
    Public(Place),
}

#[derive(Debug, clap::Args)]
struct New {
    /// A secret that both sides hold, instead of a pair
    #[arg(long)]
    shared: bool,
    /// Print one JSON document instead
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Made {
    secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    public: Option<String>,
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "secret  {}", self.secret)?;
        match &self.public {
            Some(public) => writeln!(f, "public  {public}"),
            None => Ok(()),
        }
    }
}

/// One a line.
#[derive(Serialize)]
#[serde(transparent)]
struct Public(Vec<String>);

impl fmt::Display for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|key| writeln!(f, "{key}"))
    }
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    match args.command {
        Command::New(New { shared, json }) => {
            let bytes = random()?;
            let key = match shared {
                true => SecretKey::Shared(bytes.to_vec()),
                false => SecretKey::of_seed(&bytes),
            };
            report(&Made { secret: key.reveal(), public: key.verifying().public() }, json)?;
        }
        Command::Public(place) => {
            let keys = place.config()?.signing.keys;
            if keys.is_empty() {
                bail!("signing.keys is empty: make a key with `roundhouse key new`");
            }
            let mut public = Vec::new();
            for key in keys {
                public.extend(key.parse::<SecretKey>()?.verifying().public());
            }
            report(&Public(public), false)?;
        }
    }
    Ok(EXIT_OK)
}
