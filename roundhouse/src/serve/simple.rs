//! The simple APIs: what runs behind `/line-provider` and `/bet-maker`.

use super::loops::{Asks, Start, logged};
use super::{Opened, Role, Roles};
use crate::config::Config;
use crate::rig::keys::PartnerKey;
use anyhow::{Context, bail};
use axum::Router;
use ingest::http::{ApiState, Check};
use ingest::placing::SessionToken;
use ingest::simple::bet_maker::book::{Ask, Book, BookOptions, Ends, Told};
use ingest::simple::bet_maker::{self, BetMaker};
use ingest::simple::line_provider::{self, Coin, DrawOptions, Drawer, LineProvider};
use runtime::{Clock, Engine, Handle, SystemClock, keep};
use schemas::{Currency, PartnerId, PlayerId};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A process whose list of events is older than this is not ready, in ms.
const AGE_MS_MAX: i64 = 5_000;
/// How often the list's age is looked at.
const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Whose bets bet-maker places.
pub(super) struct Better {
    partner: PartnerId,
    player: PlayerId,
    currency: Currency,
    key: PartnerKey,
}

/// Whose bets bet-maker places here; nobody's if the configuration names nobody.
///
/// # Errors
/// If the configuration names somebody who cannot be.
pub(super) fn better(config: &Config) -> anyhow::Result<Option<Better>> {
    let simple = &config.simple;
    if simple.partner.is_empty() {
        return Ok(None);
    }
    let key = PartnerKey::of_secret(&simple.partner, &simple.partner_secret)
        .context("simple.partner_secret")?;
    let Some(partner) = config.partners.iter().find(|partner| partner.id == simple.partner) else {
        bail!("simple.partner: there is no partner {} in partners", simple.partner);
    };
    if partner.token_key != key.public() {
        bail!("simple.partner_secret does not belong to the token_key of {}", simple.partner);
    }
    let currency = partner.currencies.iter().find(|known| known.currency == simple.currency);
    if currency.is_none_or(|known| known.exponent != 2) {
        bail!("simple.currency: {} takes no {} of two decimals", simple.partner, simple.currency);
    }
    Ok(Some(Better {
        partner: simple.partner.parse().context("simple.partner")?,
        player: simple.player.parse().context("simple.player")?,
        currency: simple.currency.parse().context("simple.currency")?,
        key,
    }))
}

/// Starts the book of bet-maker.
pub(super) fn book<E: Opened>(start: &mut Start<'_, E>, better: Better) -> Handle<Book> {
    let (handle, requests) = Handle::channel();
    let log = start.engine.clone();
    let (engine, stop) = (start.measured(Role::BetMaker.name()), start.stop.clone());
    let Better { partner, player, .. } = better;
    let build = move || {
        let (log, partner, player) = (log.clone(), partner.clone(), player.clone());
        async move { Ok(Book::new(BookOptions::read(&log, E::PARTITIONS, partner, player).await?)) }
    };
    let ends = Arc::new(Ends(start.engine.clone()));
    start.loops.tasks.spawn(async move {
        logged(keep(engine, build, ends, requests, SystemClock, stop).await);
        Ok(())
    });
    handle
}

/// Starts the drawing of results.
pub(super) fn drawer<E: Opened>(start: &mut Start<'_, E>) {
    // Nobody asks it anything.
    let (_, requests) = Handle::channel();
    let log = start.engine.clone();
    let (engine, stop) = (start.measured(Role::LineProvider.name()), start.stop.clone());
    let build = move || {
        let log = log.clone();
        async move { Ok(Drawer::new(DrawOptions::read(&log, E::PARTITIONS).await?)) }
    };
    start.loops.tasks.spawn(async move {
        logged(keep(engine, build, Arc::new(Coin), requests, SystemClock, stop).await);
        Ok(())
    });
}

/// The routes of both APIs; `state` has every machine of the process.
///
/// # Errors
/// As [`better`].
pub(super) fn router<E: Engine>(
    config: &Config,
    roles: &Roles,
    asks: &Asks,
    state: &ApiState<E>,
) -> anyhow::Result<Router> {
    let offers = if roles.has(Role::LineProvider) {
        let state = LineProvider { api: state.clone(), open: config.simple.open };
        line_provider::router(state, roles.is_only(Role::LineProvider))
    } else {
        line_provider::absent()
    };
    let parts = (better(config)?, asks.book.clone(), asks.placing.clone());
    let bets = match parts {
        (Some(better), Some(book), Some(placing)) => {
            let Better { partner, player, currency, key } = better;
            let name = player.clone();
            let session = Arc::new(move |now| SessionToken::new(key.token(name.as_str(), now)));
            let (now, version) = (Arc::clone(&state.now), state.version);
            let alone = roles.is_only(Role::BetMaker);
            let state =
                BetMaker { book, placing, partner, player, currency, session, now, version };
            bet_maker::router(state, alone)
        }
        _ => bet_maker::absent(),
    };
    Ok(offers.merge(bets))
}

/// How fresh bet-maker's list of events is, for readiness.
pub(super) struct Freshness {
    /// The moment up to which the list is complete, ms; 0 before the first.
    at: Arc<AtomicI64>,
}

impl Freshness {
    /// Looks at the book until `stopping`.
    pub(super) fn watch(book: Handle<Book>, stopping: &CancellationToken) -> Self {
        let at = Arc::new(AtomicI64::new(0));
        let (seen, stopping) = (Arc::clone(&at), stopping.clone());
        tokio::spawn(async move {
            while !stopping.is_cancelled() {
                if let Ok(Told::Fresh(at)) = book.ask(Ask::Fresh).await {
                    seen.store(at, Ordering::Relaxed);
                }
                tokio::time::sleep(LOOK_PERIOD).await;
            }
        });
        Self { at }
    }

    /// What `/readyz` says.
    pub(super) fn check(&self) -> Check {
        let at = self.at.load(Ordering::Relaxed);
        let age_ms = SystemClock.now().saturating_sub(at);
        let wrong = match at {
            0 => Some("the log is still being read".to_owned()),
            _ if AGE_MS_MAX < age_ms => {
                Some(format!("the topic of rounds stands still: nothing since {age_ms} ms"))
            }
            _ => None,
        };
        Check { name: "events", wrong }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;
    use crate::rig::setup;
    use ingest::simple::event::{FIRST, GAME, SECOND};
    use settlement::Game;
    use std::collections::BTreeMap;

    /// The two crates do not know each other; what one says the other must understand.
    #[test]
    fn the_rules_know_the_game() {
        let game: Game = GAME.parse().unwrap();
        assert_eq!(game.selections(), Some([FIRST, SECOND].as_slice()));
        assert_eq!(game.outcomes(), Some([FIRST, SECOND].as_slice()));
    }

    #[test]
    fn an_old_list_is_not_ready() {
        let wrong = |at: i64| Freshness { at: Arc::new(AtomicI64::new(at)) }.check().wrong;
        let now = SystemClock.now();
        assert!(wrong(0).is_some_and(|why| why.contains("still being read")));
        assert_eq!(wrong(now - AGE_MS_MAX / 2), None);
        assert!(wrong(now - AGE_MS_MAX - 1).is_some_and(|why| why.contains("stands still")));
    }

    #[test]
    fn somebody_who_cannot_bet_is_refused() {
        let config = Config::load(None, Vec::new(), Overrides::default()).unwrap();
        assert!(better(&config).unwrap().is_none());
        let key = PartnerKey::of_seed("p01", 1);
        let partners = [("p01".to_owned(), (key.clone(), "http://localhost:1".to_owned()))];
        let mut config =
            setup::config("an operator's key, long enough", &BTreeMap::from(partners)).unwrap();
        config.simple.partner = "p01".to_owned();
        config.simple.partner_secret = key.secret();
        assert!(better(&config).unwrap().is_some());
        let refused = |change: fn(&mut crate::config::Simple), words: &str| {
            let mut config = config.clone();
            change(&mut config.simple);
            let error = format!("{:#}", better(&config).err().unwrap());
            assert!(error.contains(words), "`{words}` is not in: {error}");
        };
        refused(|simple| simple.partner = "p02".to_owned(), "simple.partner");
        refused(|simple| simple.partner_secret = "x".to_owned(), "simple.partner_secret");
        refused(
            |simple| simple.partner_secret = PartnerKey::of_seed("p02", 1).secret(),
            "simple.partner_secret",
        );
        refused(|simple| simple.currency = "USD".to_owned(), "simple.currency");
        refused(|simple| simple.player = String::new(), "simple.player");
        assert!(!format!("{config:?}").contains(&key.secret()), "secrets are not shown");
    }
}
