//! A machine whose clock is off takes no bets until it is right again.

use crate::house::{Ground, Street};
use crate::roles::part;
use crate::singly::until;
use crate::watched::Watched;
use roundhouse::serve::Role;

on_every_engine!(a_clock_that_is_off_takes_no_bets);

async fn a_clock_that_is_off_takes_no_bets<E: Ground>() {
    let street = Street::on::<E>(1, 84, &[]).await;
    let engine = Watched::new(E::open(&street.config).await);
    engine.set_behind(2_000);
    let roles = [Role::Line, Role::Herald, Role::Bets, Role::Settler, Role::Dispatcher];
    let (api, running) = part(&street, &engine, &roles).await;
    api.open_die("r", 600_000, 200).await.unwrap();
    let mut wagers = street.wagers("r", 2_000, 1).into_iter();
    until(&api, &mut wagers, "clock_offset").await;
    engine.set_behind(0);
    until(&api, &mut wagers, "").await;
    running.stop().await.unwrap();
}
