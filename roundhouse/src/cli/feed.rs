//! `roundhouse feed`: a feed adapter over HTTP.

use super::operator::Operator;
use super::{EXIT_OK, Logs};
use anyhow::Context;
use feeds::relay::{self, RelayOptions};
use runtime::shutdown;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Example:
  roundhouse feed --name sports --source http://feed.internal/events --state-dir ./sports

What a source answers stands in docs/feeds.md. What the API refuses for good is kept in
refused.jsonl in the state directory.

Exit codes:
  0  stopped as asked
  2  could not start, or the state directory cannot be written";

/// Carry what a source says over HTTP into the rounds API, and repeat it until it is taken
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The feed's name, which stands in every request's id
    #[arg(long, value_name = "NAME")]
    name: String,
    /// The URL to ask; `after=CURSOR` is added to its query
    #[arg(long, value_name = "URL")]
    source: String,
    /// A file with the value of the header Authorization for the source
    #[arg(long, value_name = "FILE")]
    source_authorization_file: Option<PathBuf>,
    /// Where the cursor and refused events are kept
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    #[command(flatten)]
    operator: Operator,
    #[command(flatten)]
    parent: super::parent::Parent,
}

pub(super) async fn run(args: Args, logs: Logs) -> anyhow::Result<u8> {
    logs.init("info")?;
    let api = args.operator.api()?;
    let authorization = args.source_authorization_file.map(|path| {
        let text = std::fs::read_to_string(&path);
        text.with_context(|| format!("{} cannot be read", path.display()))
    });
    let options = RelayOptions {
        name: args.name,
        source: args.source,
        source_authorization: authorization.transpose()?.map(|text| text.trim().to_owned()),
        state_dir: args.state_dir,
    };
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    relay::run(&options, &api, &shutdown).await?;
    Ok(EXIT_OK)
}
