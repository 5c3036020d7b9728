//! Settlements in, partner acknowledgements out.
//!
//! ```text
//! settlements.v1 ─┬─► newest per bet ─► queue per partner ─► chunk ─► wallet ─► judge ─┬─► deliveries.v1 + fact
//! retry tiers ────┘        (R15)         and traffic         (R16)              (R17)  ├─► next retry tier
//!                                                                                      └─► parked + case (R18)
//! ```
//!
//! # The guarantee
//!
//! Delivery is **at least once**: every settlement that stands in `settlements.v1` is sent to its partner
//! until the partner gives a final answer, a newer revision of the same bet takes its place, or a human
//! has it. The effect is **exactly once**, and that is the partner's register, not us: a wallet applies a
//! revision above the one it has and answers any other from its row. So nothing here rests on leases,
//! locks, clocks, or on who owns the partition. Two dispatchers that work on the same partition for a
//! while send the same items twice, write the same facts twice, and move no money.
//!
//! The owner of partition p of `settlements.v1` also reads partition p of each tier, so that all that is
//! owed to a partner is in one place. That saves calls. It is not what makes them safe.
//!
//! # What is written, and when
//!
//! Only a *durable* end lets go of a settlement: a final answer (fact and record), a parking, its copy in
//! a tier, or a newer revision that was itself read from a topic. The stored offset is the lowest record
//! of each source without such an end, and it travels behind the batch that frees it (R3). What is known
//! in memory alone frees nothing.
//!
//! # What a crash leaves
//!
//! Memory is a cache. After a crash at any point the next owner reads from the stored offsets on:
//!
//! - A chunk was sent and its answer lost, or judged and not written: its items are sent again, in
//!   whatever chunk they fall into. The wallet answers from its rows, with nothing moved.
//! - Records were said and the facts that close their items not written, or the offset not stored: the same, and the same
//!   records and facts come again under the same keys.
//! - An item was copied into a tier and its offset not stored: it is in both, and sent from both. The
//!   store is asked before anything of a tier is sent, so the second is mostly saved.
//! - A partner that is back was being drained: what was read ahead stands in its tiers as before. The next
//!   owner asks the partner with the first it meets there, and drains again.
//! - Breakers, queues, waits, what a partner asked for with `Retry-After` and its ledger epoch are forgotten. The
//!   epoch comes back with the first answer; until then nothing of a tier counts as final.
//!
//! # What it never does
//!
//! It never takes silence, a status, a redirect, a page of HTML or an unknown word for an answer. It never
//! drops an older revision on the word of a newer *arrival*: newest is the highest revision read. It
//! never waits for one partner while another could be served: what does not fit a partner's queue goes to the
//! tiers and the partition goes on, and a partner that does not answer gets one probe at a time. Nor does it let one item hold up others: a chunk that a wallet refuses as a
//! whole comes again in halves, until the item that it chokes on is alone. It never gives up: parked is owed, counted and shown.

pub mod dispatcher;

mod book;
pub mod breaker;
mod budget;
pub mod chunk;
mod concurrency;
mod drain;
#[cfg(test)]
mod fixtures;
pub mod health;
pub mod judge;
pub mod limits;
mod offsets;
mod output;
mod queue;
pub mod retry;

pub mod metrics;
pub mod send;

pub use breaker::Circuit;
pub use chunk::StateCall;
pub use dispatcher::{Dispatcher, DispatcherOptions, Owed, OwedOf, OwedQuery, owed};
pub use health::{Health, PauseLimits};
pub use judge::{Answer, Came};
pub use limits::Limits;
pub use metrics::Metrics;
pub use output::replayed;
pub use send::{Sender, StatePools};
