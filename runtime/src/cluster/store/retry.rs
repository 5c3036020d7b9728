//! What is tried again, and for how long.

use crate::EngineError;
use scylla::errors::{DbError, ExecutionError, RequestAttemptError};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// After this no further try begins: whoever waits is rebuilt, which reads everything again.
const TRIES_FOR: Duration = Duration::from_secs(7);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Repeats an idempotent request while it fails for reasons that pass. The driver has its own few
/// repeats below this, each on another node.
///
/// # Errors
/// [`EngineError::Unavailable`] with the last reason.
pub(super) async fn repeated<T, Try>(
    what: &'static str,
    mut request: impl FnMut() -> Try,
) -> Result<T, EngineError>
where
    Try: Future<Output = Result<T, ExecutionError>>,
{
    let until = Instant::now() + TRIES_FOR;
    let mut pause = PAUSE_FIRST;
    loop {
        let error = match request().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if !passes(&error) || until < Instant::now() + pause {
            return Err(EngineError::Unavailable(format!("store, {what}: {error}")));
        }
        tracing::debug!(what, %error, "the store is asked again");
        sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Whether the same request may succeed later.
fn passes(error: &ExecutionError) -> bool {
    if let ExecutionError::LastAttemptError(RequestAttemptError::DbError(said, _)) = error {
        return matches!(
            said,
            DbError::Unavailable { .. }
                | DbError::Overloaded
                | DbError::IsBootstrapping
                | DbError::TruncateError
                | DbError::ReadTimeout { .. }
                | DbError::WriteTimeout { .. }
                | DbError::ReadFailure { .. }
                | DbError::WriteFailure { .. }
                | DbError::ServerError
                | DbError::RateLimitReached { .. }
                // Another schema changed while it was prepared: it is prepared anew.
                | DbError::Unprepared { .. }
        );
    }
    matches!(
        error,
        ExecutionError::EmptyPlan
            | ExecutionError::ConnectionPoolError(_)
            | ExecutionError::RequestTimeout(_)
            | ExecutionError::LastAttemptError(
                RequestAttemptError::BrokenConnectionError(_)
                    | RequestAttemptError::UnableToAllocStreamId
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    fn said(error: DbError) -> ExecutionError {
        RequestAttemptError::DbError(error, String::new()).into()
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_repeated_until_it_has_passed() {
        let mut left = 4;
        let done = repeated("write", || {
            ready(match left {
                0 => Ok("done"),
                _ => {
                    left -= 1;
                    Err(said(DbError::Overloaded))
                }
            })
        });
        assert_eq!(done.await, Ok("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_ends_in_bounded_time() {
        let start = Instant::now();
        let slow = Duration::from_secs(3);
        let done: Result<(), _> = repeated("scan", || async {
            sleep(slow).await;
            Err(ExecutionError::RequestTimeout(slow))
        })
        .await;
        assert!(matches!(done, Err(EngineError::Unavailable(text)) if text.contains("scan")));
        assert!(start.elapsed() <= TRIES_FOR + slow, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_not_repeated() {
        for error in [DbError::Invalid, DbError::Unauthorized, DbError::SyntaxError] {
            let mut tries = 0;
            let done: Result<(), _> = repeated("write", || {
                tries += 1;
                ready(Err(said(error.clone())))
            })
            .await;
            assert!(matches!(done, Err(EngineError::Unavailable(_))));
            assert_eq!(tries, 1, "{error}");
        }
    }
}
