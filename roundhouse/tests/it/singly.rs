//! Bets placed one by one, and what each is told.

use crate::house::WAIT_MAX;
use http::Method;
use roundhouse::rig::api::Api;
use roundhouse::rig::players::Wager;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// The code that the bet is refused with, `undecided` if nobody knows yet; empty if it is taken.
pub(crate) async fn code(api: &Api, wager: &Wager) -> String {
    let reply = api.call(Method::POST, "/v1/bets", &wager.token, Some(&wager.body)).await.unwrap();
    if reply.status == 202 { "undecided".to_owned() } else { reply.text("code").to_owned() }
}

/// Bets of `wagers` until one is answered with `wanted`; empty for one that is taken.
pub(crate) async fn until(api: &Api, wagers: &mut impl Iterator<Item = Wager>, wanted: &str) {
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
