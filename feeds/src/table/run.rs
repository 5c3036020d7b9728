//! The table at work.

use super::{Drawn, Keeper, KeptError, Next, Table, path, result};
use crate::api::{RoundsApi, Said};
use http::Method;
use runtime::Clock;
use std::time::Duration;
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Between two looks at the rounds that are not over.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// Codes that say that the round was opened before.
const OPENED: [&str; 2] = ["request_reused", "round_exists"];

/// Why a table cannot go on.
#[derive(Debug, Error)]
pub enum TableError {
    /// A round whose number is not kept could not be drawn after a crash, so none is opened.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// What the table asks for is not to be had: a wrong key, or odds that no round may have.
    #[error("a round may not be opened, {code}: {detail}")]
    Refused {
        /// The problem's code.
        code: String,
        /// What the API says of it.
        detail: String,
    },
}

/// How a table is run.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Stops after so many rounds; `None` for never.
    pub rounds_max: Option<u64>,
}

/// Plays until `shutdown`, and then finishes the rounds that are open. Returns how many were drawn.
///
/// # Errors
/// [`TableError`].
pub async fn run(
    mut table: Table,
    keeper: &Keeper,
    api: &RoundsApi,
    clock: &impl Clock,
    options: &TableOptions,
    shutdown: &CancellationToken,
) -> Result<u64, TableError> {
    let (mut opened, mut drawn) = (0, 0);
    loop {
        let more = !shutdown.is_cancelled() && options.rounds_max.is_none_or(|max| opened < max);
        if more && let Some(number) = table.due(clock.now()) {
            keeper.save(&table)?;
            opened += 1;
            open(&table, number, api).await?;
        }
        let open: Vec<u64> = table.kept.open.iter().copied().collect();
        for number in open {
            if look(&mut table, number, keeper, api).await? {
                drawn += 1;
            }
        }
        if !more && table.kept.open.is_empty() {
            return Ok(drawn);
        }
        tokio::select! {
            () = sleep(LOOK_PERIOD) => {}
            // Betting ends in its own time; there is only no next round.
            () = shutdown.cancelled(), if more => {}
        }
    }
}

/// Opens a round. One that could not be opened now is found missing at the next look.
async fn open(table: &Table, number: u64, api: &RoundsApi) -> Result<(), TableError> {
    let round = table.seed(number).commitment();
    match api.say(Method::POST, "/v1/rounds", &table.opening(number)).await {
        Said::Admitted => tracing::info!(%round, number, "opened"),
        Said::Again { why, .. } => tracing::warn!(%round, number, why, "not opened yet"),
        // It was opened under other odds, by a table that was then started with these.
        Said::Refused { code, .. } if OPENED.contains(&code.as_str()) => {}
        Said::Refused { code, detail } => return Err(TableError::Refused { code, detail }),
    }
    Ok(())
}

/// Does what is next about a round; whether it was drawn.
async fn look(
    table: &mut Table,
    number: u64,
    keeper: &Keeper,
    api: &RoundsApi,
) -> Result<bool, TableError> {
    let round = table.seed(number).commitment();
    let seen = match api.round(&round).await {
        Ok(seen) => seen,
        Err(why) => {
            tracing::warn!(%round, why, "the round cannot be seen");
            return Ok(false);
        }
    };
    let drawn = match table.next(number, seen.as_ref()) {
        Next::Wait => return Ok(false),
        Next::Open => {
            open(table, number, api).await?;
            return Ok(false);
        }
        Next::Over => None,
        Next::Drawn(drawn) => Some(drawn),
        Next::Draw(drawn) => match say_result(&drawn, api).await {
            Said::Admitted => Some(drawn),
            Said::Again { why, .. } => {
                tracing::warn!(%round, why, "the result is not taken yet");
                return Ok(false);
            }
            Said::Refused { code, detail } => {
                // Somebody else said a result between the look and now: the next look tells.
                tracing::error!(%round, code, detail, "a result was refused");
                return Ok(false);
            }
        },
    };
    match &drawn {
        Some(drawn) => {
            tracing::info!(%round, outcome = drawn.outcome, "drawn");
            keeper.publish(drawn)?;
        }
        None => tracing::warn!(%round, "its result is not the table's"),
    }
    table.over(number);
    keeper.save(table)?;
    Ok(drawn.is_some())
}

async fn say_result(drawn: &Drawn, api: &RoundsApi) -> Said {
    api.say(Method::POST, &path(&drawn.round_id, "result"), &result(drawn)).await
}
