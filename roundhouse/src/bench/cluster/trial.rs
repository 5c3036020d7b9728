//! A trial of a house on this engine.

use super::ground::{Ground, Servers};
use crate::bench::trial::{self, Trial, Verdict};

/// Holds a trial. Topics and keyspace are left to be looked at if the audit finds something.
///
/// # Errors
/// As [`trial::embedded`].
pub async fn trial<T: Trial>(trial: &T, servers: &Servers) -> anyhow::Result<T::Report> {
    let ground = Ground::make(servers).await?;
    let report = trial::on(trial, |_| (), async |_| ground.open("bench-house").await).await;
    let amiss = report.as_ref().is_ok_and(|report| !report.audit().clean);
    ground.drop_unless(amiss, trial.street().data_dir).await;
    report
}
