//! What the services share: the record log, the fact store, the loops and their drivers.
//!
//! Knows no word of betting. A service is one or more [`Machine`]s: state machines without IO whose
//! inputs are records, acknowledgements, timers and answers, and whose effects are data. One driver
//! per world performs the effects: [`drive()`] in production, one thread and one seed in the
//! simulation. Every durable effect of a loop is a [`Batch`], and [`Batch::steps`] is the one place
//! that says in which order a batch becomes durable (R3).

pub mod batch;
pub mod catalogue;
pub mod clock;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod conformance;
pub mod drive;
pub mod embedded;
pub mod engine;
pub mod fact;
pub mod hangup;
mod headers;
pub mod http;
pub mod machine;
pub mod partitions;
pub mod rate;
pub mod record;
pub mod shutdown;
pub mod telemetry;

pub use batch::{Batch, Step, StoreOffset};
pub use catalogue::{Catalogue, TopicSpec};
pub use clock::{Clock, Millis, SystemClock};
pub use drive::{
    Ask, Caller, DriveError, Exit, Gone, Handle, Handles, Job, Membership, drive, keep, supervise,
};
pub use embedded::Embedded;
pub use engine::{
    ApplyError, Assignments, Change, Engine, EngineError, FactStore, Lease, Reader, RecordLog,
};
pub use fact::{Fact, FactKey, Scope};
pub use headers::RecordHeaders;
pub use machine::{Alarm, Effect, Input, Machine, READ_RECORDS_MAX};
pub use partitions::Partitions;
pub use rate::Rate;
pub use record::{Append, Headers, Record, Source, Topic};
