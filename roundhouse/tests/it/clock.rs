//! A machine whose clock is off takes no bets until it is right again.

use crate::house::{Ground, Street, WAIT_MAX};
use crate::roles::part;
use crate::watched::Watched;
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use roundhouse::serve::Role;
use std::time::Duration;
use tokio::time::{Instant, sleep};

on_every_engine!(a_clock_that_is_off_takes_no_bets);

const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// The code that the bet is refused with; empty if it is taken.
async fn code(api: &Api, wager: &Wager) -> String {
    let reply = api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await.unwrap();
    reply.text("code").to_owned()
}

/// Waits until bets are refused with `wanted`. Each is another bet.
async fn until(api: &Api, wagers: &mut impl Iterator<Item = Wager>, wanted: &str) {
    let begun = Instant::now();
    loop {
        let said = code(api, &wagers.next().unwrap()).await;
        if said == wanted {
            return;
        }
        assert!(begun.elapsed() < WAIT_MAX, "`{said}`, not `{wanted}`");
        sleep(LOOK_PERIOD).await;
    }
}

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
