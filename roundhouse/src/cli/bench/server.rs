//! `roundhouse bench post-bet` and `events`.

use super::{Outcome, Site, exe, print};
use crate::bench::{EventsPlan, PostBetPlan, post_bet as measure};

/// Bets a second: POST /v1/bets, each durable and held by its wallet before it is answered
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct PostBetFlags {
    /// Keep-alive connections, each with one bet at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=999))]
    connections: u16,
    /// Length of each run
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Runs, each followed by one of the plain program
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
    /// Bets a second on the cluster engine; on the embedded one as many as the connections take
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
}

/// The list of events: GET /bet-maker/events
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct EventsFlags {
    /// Events in the list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    events: u16,
    /// Keep-alive connections, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=999))]
    connections: u16,
    /// Length of each run
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300))]
    seconds: u64,
    /// Runs, each followed by one of the plain program
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pairs: u16,
}

/// Measures and prints: what is asked differs from engine to engine.
pub(super) async fn post_bet(flags: PostBetFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = PostBetPlan {
        connections: usize::from(flags.connections),
        seconds: flags.seconds,
        pairs: usize::from(flags.pairs),
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    #[cfg(feature = "cluster")]
    if let Some(servers) = site.servers {
        let report = crate::bench::cluster::post_at_rate(&plan, flags.rate, servers).await?;
        print(&report, site.json)?;
        return Ok(Outcome::MEASURED);
    }
    print(&measure(&plan).await?, site.json)?;
    Ok(Outcome::MEASURED)
}

/// Measures and prints.
pub(super) async fn events(flags: EventsFlags, site: Site<'_>) -> anyhow::Result<Outcome> {
    let plan = EventsPlan {
        events: usize::from(flags.events),
        connections: usize::from(flags.connections),
        seconds: flags.seconds,
        pairs: usize::from(flags.pairs),
        data_dir: site.data_dir.to_owned(),
        exe: exe()?,
    };
    site.measure(&plan).await
}
