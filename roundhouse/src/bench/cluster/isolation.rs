//! `bench isolation` on this engine.

use super::ground::{Ground, Servers};
use crate::bench::isolation::{IsolationPlan, IsolationReport, isolation_on};

/// Measures, and audits. Topics and keyspace are left to be looked at if the audit finds something.
///
/// # Errors
/// As [`crate::bench::isolation()`].
pub async fn isolation(plan: &IsolationPlan, servers: &Servers) -> anyhow::Result<IsolationReport> {
    let ground = Ground::make(servers).await?;
    let opening = async |_: &_| ground.open("bench-house").await;
    let report = isolation_on(plan, |_| (), opening).await;
    let amiss = report.as_ref().is_ok_and(|report| !report.audit.clean);
    ground.drop_unless(amiss, &plan.data_dir).await;
    report
}
