//! `roundhouse wallet`: the command is the partner kit's.

use super::{EXIT_OK, Logs};
use anyhow::Context;
use partner_kit::WalletArgs;
use runtime::shutdown;

#[derive(Debug, clap::Args)]
pub(super) struct Wallets {
    #[command(flatten)]
    wallets: WalletArgs,
    #[command(flatten)]
    parent: super::parent::Parent,
}

pub(super) async fn run(args: Wallets, logs: Logs) -> anyhow::Result<u8> {
    logs.init("warn")?;
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    partner_kit::run(args.wallets, shutdown).await.context("the wallets cannot be served")?;
    Ok(EXIT_OK)
}
