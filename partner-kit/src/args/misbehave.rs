//! The command line of `roundhouse misbehave`.

use super::WalletArgs;
use crate::faults::rate;
use crate::misbehaviours::{MisbehaveSettings, Only};
use crate::serve::ServeError;
use crate::wallet::Orders;
use clap::Args;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  A partner whose every answer is empty, and one call in ten is redirected:
    roundhouse misbehave --keys keys.json --partner p01 --journal-dir ./wallets \\
      --only empty-200 --only redirect=100

  Everything there is, in one call of five:
    roundhouse misbehave --keys keys.json --partner p01 --journal-dir ./wallets --mix 200

  By the number of the call, from a file with lines such as `3 html-200`, `5-9 too-many-requests` or `20- tls-alert`:
    roundhouse misbehave --keys keys.json --partner p01 --journal-dir ./wallets --script bad-day.txt

  About one call, by its header (the call must be signed like any other):
    x-misbehave: truncated-json

  Other misbehaviours while it runs, none, and what was done so far:
    curl -X POST http://127.0.0.1:9100/faults -d '{\"misbehave\":{\"only\":{\"late-apply\":300},\"late_ms\":5000}}'
    curl -X POST http://127.0.0.1:9100/faults -d '{\"misbehave\":{\"only\":{},\"mix\":0}}'
    curl http://127.0.0.1:9100/stats

A wallet that moved wrong money (double-apply, short-memory, wrong-amount) has a journal that no honest wallet opens:
give it a directory of its own.";

/// Run wallets that misbehave: those of `roundhouse wallet`, with what goes wrong in the field
///
/// Which misbehaviours there are is printed by --list; docs/partner/misbehaviours.md says how each is
/// recognised and what becomes of the money.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct MisbehaveArgs {
    #[command(flatten)]
    wallets: WalletArgs,
    /// A misbehaviour, and how often per mille of the calls (always, if nothing is said); may be repeated
    #[arg(long, value_name = "NAME[=PER_MILLE]", help_heading = "Misbehaviours")]
    only: Vec<Only>,
    /// Any of all misbehaviours, per mille of the calls
    #[arg(long, value_name = "PER_MILLE", default_value_t = 0, value_parser = rate(), help_heading = "Misbehaviours")]
    mix: u32,
    /// File that says by the number of the call what befalls it; its word goes before --only and --mix
    #[arg(long, value_name = "FILE", help_heading = "Misbehaviours")]
    script: Option<PathBuf>,
    /// How much later a call is applied that was not answered, in ms
    #[arg(long, value_name = "MS", default_value_t = MisbehaveSettings::NONE.late_ms, help_heading = "Misbehaviours")]
    late_ms: u64,
    /// After how many ms what was applied is forgotten
    #[arg(long, value_name = "MS", default_value_t = MisbehaveSettings::NONE.forget_ms, help_heading = "Misbehaviours")]
    forget_ms: u64,
    /// How long a maintenance lasts, in ms
    #[arg(long, value_name = "MS", default_value_t = MisbehaveSettings::NONE.maintenance_ms, help_heading = "Misbehaviours")]
    maintenance_ms: u64,
    /// From byte to byte of a slow answer, in ms
    #[arg(long, value_name = "MS", default_value_t = MisbehaveSettings::NONE.byte_ms, help_heading = "Misbehaviours")]
    byte_ms: u64,
    /// Print all misbehaviours, and serve nothing
    #[arg(long, exclusive = true, help_heading = "Misbehaviours")]
    list: bool,
}

impl MisbehaveArgs {
    /// Whether the misbehaviours are to be printed, and nothing served.
    pub fn lists(&self) -> bool {
        self.list
    }

    pub(crate) fn orders(&self) -> Result<Orders, ServeError> {
        let mut orders = Orders { header: true, ..Orders::default() };
        if let Some(path) = &self.script {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ServeError::ScriptFile { path: path.clone(), source })?;
            let script = text.parse();
            orders.script =
                script.map_err(|source| ServeError::Script { path: path.clone(), source })?;
        }
        Ok(orders)
    }

    /// The wallets, with the switches set.
    pub(crate) fn wallets(self) -> WalletArgs {
        let mut misbehave = MisbehaveSettings {
            mix: self.mix,
            late_ms: self.late_ms,
            forget_ms: self.forget_ms,
            maintenance_ms: self.maintenance_ms,
            byte_ms: self.byte_ms,
            ..MisbehaveSettings::NONE
        };
        for Only { which, rate } in self.only {
            *misbehave.only.of(which) = rate;
        }
        let mut wallets = self.wallets;
        wallets.faults.misbehave = misbehave;
        wallets
    }
}
