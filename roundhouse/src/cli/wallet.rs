//! `roundhouse wallet` and `roundhouse misbehave`: the commands are the partner kit's.

use super::{EXIT_OK, Logs};
use anyhow::Context;
use partner_kit::{MisbehaveArgs, WalletArgs};
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

#[derive(Debug, clap::Args)]
pub(super) struct Misbehaving {
    #[command(flatten)]
    wallets: MisbehaveArgs,
    #[command(flatten)]
    parent: super::parent::Parent,
}

pub(super) async fn misbehave(args: Misbehaving, logs: Logs) -> anyhow::Result<u8> {
    if args.wallets.lists() {
        print!("{}", partner_kit::misbehaviours::listed());
        return Ok(EXIT_OK);
    }
    logs.init("warn")?;
    let shutdown = shutdown::on_signal().context("signals cannot be watched")?;
    args.parent.watch(&shutdown);
    partner_kit::misbehave(args.wallets, shutdown).await.context("the wallets cannot be served")?;
    Ok(EXIT_OK)
}
