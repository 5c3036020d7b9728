//! `bench outage` on this engine.

use super::ground::{Ground, Servers};
use crate::bench::outage::{OutagePlan, OutageReport, outage_on};

/// Measures, and audits. Topics and keyspace are left to be looked at if the audit finds something.
///
/// # Errors
/// As [`crate::bench::outage()`].
pub async fn outage(plan: &OutagePlan, servers: &Servers) -> anyhow::Result<OutageReport> {
    let ground = Ground::make(servers).await?;
    let opening = async |_: &_| ground.open("bench-house").await;
    let report = outage_on(plan, |_| (), opening).await;
    let amiss = report.as_ref().is_ok_and(|report| !report.audit.clean);
    ground.drop_unless(amiss, &plan.data_dir).await;
    report
}
