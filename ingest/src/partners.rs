//! The partners as this process knows them: what its configuration says, and what was said of them in
//! `partners.v1`, which counts before it.

use crate::auth::{TokenKeyError, Tokens};
use crate::placing::{PartnerBook, PartnerEntry};
use runtime::http::{AddressError, Outbound, PeerKeys, Peers};
use schemas::PartnerId;
use schemas::partners::{LedgerWord, PartnerSaid, PartnerWord, Pauser, Profile, Said};
use signing::{KEYS_MAX, KeyError, SecretKey, VerifyingKey};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use thiserror::Error;

/// A profile that nothing could be done with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProfileError {
    /// Its wallet cannot be called.
    #[error(transparent)]
    Wallet(#[from] AddressError),
    /// Its key verifies nothing.
    #[error(transparent)]
    Key(#[from] TokenKeyError),
    /// A key of its replies verifies nothing.
    #[error(transparent)]
    ReplyKey(#[from] KeyError),
    /// A shared secret where everybody can read it.
    #[error("a shared secret stands in the configuration of the servers alone (shared_secrets)")]
    SharedSecret,
    /// One of our own.
    #[error("a key is ours: what we said would pass for a reply")]
    OurKey,
    /// Too many keys.
    #[error("there are more than {KEYS_MAX} keys")]
    ManyKeys,
    /// No key.
    #[error("no reply would ever count: there is no key to verify it with")]
    NoKey,
}

/// The secrets of this installation, with which messages to partners are signed.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Live keys of its own, for every partner without a shared secret.
    pub keys: Vec<SecretKey>,
    /// Secrets shared with a partner, which sign in place of them; its replies may be signed with them too.
    pub shared: BTreeMap<PartnerId, Vec<SecretKey>>,
}

/// The partners. Cheap to clone; clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Partners {
    secrets: Arc<Secrets>,
    known: Arc<RwLock<Known>>,
    wallets: Peers<PartnerId>,
    tokens: Arc<Tokens>,
}

#[derive(Debug, Default)]
struct Known {
    profiles: BTreeMap<PartnerId, (Profile, Option<Said>)>,
    /// Also of partners without a profile, which may be said later.
    betting: BTreeMap<PartnerId, Betting>,
    ledgers: BTreeMap<PartnerId, (LedgerWord, Said)>,
}

impl Known {
    fn get(&self, id: &PartnerId) -> Option<Partner> {
        let (profile, set) = self.profiles.get(id).cloned()?;
        let (betting, ledger) = (self.betting(id), self.ledgers.get(id).cloned());
        Some(Partner { id: id.clone(), profile, set, betting, ledger })
    }

    fn betting(&self, id: &PartnerId) -> Betting {
        self.betting.get(id).cloned().unwrap_or_default()
    }
}

/// What each of those who may pause a partner's betting said last: whether it is paused, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Betting(BTreeMap<Pauser, (bool, Said)>);

impl Betting {
    /// Who has it paused, and why; operators come first.
    pub fn paused(&self) -> impl Iterator<Item = (Pauser, &Said)> {
        self.0.iter().filter(|(_, (paused, _))| *paused).map(|(by, (_, said))| (*by, said))
    }

    /// True if `by` has it paused.
    pub fn is_paused_by(&self, by: Pauser) -> bool {
        self.0.get(&by).is_some_and(|(paused, _)| *paused)
    }

    /// The word that counts: that of whoever has it paused, else the last that was said.
    pub fn word(&self) -> Option<&Said> {
        let last = || self.0.values().map(|(_, said)| said).max_by_key(|said| said.said_at);
        self.paused().next().map(|(_, said)| said).or_else(last)
    }
}

/// A partner, with what was said of it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its id.
    pub id: PartnerId,
    /// What it is.
    pub profile: Profile,
    /// Who said so; `None` for the configuration.
    pub set: Option<Said>,
    /// Whether betting is paused.
    pub betting: Betting,
    /// Which of its ledgers counts, and who said so; `None` before it named one.
    pub ledger: Option<(LedgerWord, Said)>,
}

impl Partners {
    /// No partners yet; messages to those to come are signed with `secrets`, and go where `outbound` lets them.
    pub fn new(secrets: Secrets, outbound: Outbound) -> Self {
        let wallets = Peers::new(outbound);
        Self { secrets: Arc::new(secrets), wallets, ..Self::default() }
    }

    /// Whether something could be done with a profile.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn check(&self, partner: &PartnerId, profile: &Profile) -> Result<(), ProfileError> {
        let wallets = Peers::new(self.wallets.outbound().clone());
        let apart = Self { secrets: Arc::clone(&self.secrets), wallets, ..Self::default() };
        apart.configure(partner.clone(), profile.clone())
    }

    /// Takes a profile of the configuration.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn configure(&self, partner: PartnerId, profile: Profile) -> Result<(), ProfileError> {
        self.set(&mut self.write(), partner, profile, None)
    }

    /// Takes what was said, in the order of the log.
    ///
    /// # Errors
    /// [`ProfileError`]; then what was known before stands.
    pub fn note(&self, said: PartnerSaid) -> Result<(), ProfileError> {
        self.take(&mut self.write(), said)
    }

    /// Takes what was just said here, ahead of its place in the log, unless something was read of the partner
    /// since it was as in `before`: what was read may stand behind it, and is what counts.
    ///
    /// # Errors
    /// As [`Self::note`].
    pub fn note_ahead(
        &self,
        before: Option<&Partner>,
        said: PartnerSaid,
    ) -> Result<(), ProfileError> {
        let mut known = self.write();
        let same = known.get(&said.partner).as_ref() == before;
        if same { self.take(&mut known, said) } else { Ok(()) }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, known: &mut Known, said: PartnerSaid) -> Result<(), ProfileError> {
        let PartnerSaid { partner, what, by } = said;
        match what {
            PartnerWord::Profile(profile) => self.set(known, partner, profile, Some(by)),
            PartnerWord::Paused(pauser, paused) => {
                known.betting.entry(partner).or_default().0.insert(pauser, (paused, by));
                Ok(())
            }
            PartnerWord::Ledger(ledger) => {
                let betting = &mut known.betting.entry(partner.clone()).or_default().0;
                betting.entry(Pauser::Restore).and_modify(|word| *word = (false, by.clone()));
                known.ledgers.insert(partner, (ledger, by));
                Ok(())
            }
        }
    }

    fn set(
        &self,
        known: &mut Known,
        partner: PartnerId,
        profile: Profile,
        set: Option<Said>,
    ) -> Result<(), ProfileError> {
        // All or nothing.
        self.wallets.outbound().checked(&profile.wallet_url)?;
        let keys = self.keys(&partner, &profile)?;
        self.tokens.set_key(partner.clone(), &profile.token_key)?;
        self.wallets.set(partner.clone(), &profile.wallet_url, keys)?;
        known.profiles.insert(partner, (profile, set));
        Ok(())
    }

    fn keys(&self, partner: &PartnerId, profile: &Profile) -> Result<PeerKeys, ProfileError> {
        let shared = self.secrets.shared.get(partner);
        let mut theirs: Vec<_> = shared.into_iter().flatten().map(SecretKey::verifying).collect();
        for key in &profile.reply_keys {
            let key: VerifyingKey = key.parse()?;
            // A profile stands in a topic.
            let public = key.public().ok_or(ProfileError::SharedSecret)?;
            let ours = self.secrets.keys.iter().filter_map(|key| key.verifying().public());
            if ours.into_iter().any(|ours| ours == public) {
                return Err(ProfileError::OurKey);
            }
            theirs.push(key);
        }
        match theirs.len() {
            0 => Err(ProfileError::NoKey),
            1..=KEYS_MAX => {
                Ok(PeerKeys { ours: shared.unwrap_or(&self.secrets.keys).clone(), theirs })
            }
            _ => Err(ProfileError::ManyKeys),
        }
    }

    /// What messages to a partner are signed with and its own are verified with, if there is one.
    pub(crate) fn keys_of(&self, id: &PartnerId) -> Option<PeerKeys> {
        let profile = self.get(id)?.profile;
        self.keys(id, &profile).ok()
    }

    /// Where the wallets are, and whose word counts; follows what is said.
    pub fn wallets(&self) -> Peers<PartnerId> {
        self.wallets.clone()
    }

    /// Who verifies players' tokens; follows what is said.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The partner, if there is one.
    pub fn get(&self, id: &PartnerId) -> Option<Partner> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(id)
    }

    /// Whether the betting of a partner is paused; also of one whose profile is not known.
    pub fn betting(&self, id: &PartnerId) -> Betting {
        self.known.read().unwrap_or_else(PoisonError::into_inner).betting(id)
    }

    /// Every partner, in the order of ids.
    pub fn all(&self) -> Vec<Partner> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.profiles.keys().filter_map(|id| known.get(id)).collect()
    }

    /// What bet placing must know of a partner.
    pub fn entry(&self, id: &PartnerId) -> Option<PartnerEntry> {
        self.get(id).map(Partner::entry)
    }

    /// What bet placing must know of all.
    pub fn book(&self) -> PartnerBook {
        self.all().into_iter().map(|partner| (partner.id.clone(), partner.entry())).collect()
    }
}

impl Partner {
    fn entry(self) -> PartnerEntry {
        let paused = self.betting.paused().next();
        PartnerEntry {
            betting_paused: paused.map(|(_, said)| said.reason.clone()),
            currencies: self.profile.currencies,
            stakes_per_s: self.profile.stakes_per_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AUDIENCE, Audience, Claims, issue};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::SigningKey;
    use schemas::partners::{CurrencyLimits, StateCalls};

    fn key(secret: u8) -> SigningKey {
        SigningKey::from_bytes(&[secret; 32])
    }

    fn profile(wallet_url: &str) -> Profile {
        Profile {
            wallet_url: wallet_url.to_owned(),
            token_key: URL_SAFE_NO_PAD.encode(key(7).verifying_key()),
            reply_keys: vec![SecretKey::of_seed(&[9; 32]).verifying().public().unwrap()],
            currencies: [("EUR".parse().unwrap(), CurrencyLimits::unlimited(2))].into(),
            calls_per_s: None,
            stakes_per_s: None,
            state_calls: StateCalls::default(),
        }
    }

    fn by(said_at: i64) -> Said {
        Said { reason: format!("at {said_at}"), actor: "ann".to_owned(), said_at }
    }

    /// Two operators speak at the same moment: whoever's answer comes late must not undo what was read.
    #[test]
    fn what_was_read_meanwhile_is_not_undone() {
        let (partners, acme): (_, PartnerId) = (Partners::default(), "acme".parse().unwrap());
        partners.configure(acme.clone(), profile("https://one")).unwrap();
        let before = partners.get(&acme);
        let said = |url: &str, at| PartnerSaid {
            partner: "acme".parse().unwrap(),
            what: PartnerWord::Profile(profile(url)),
            by: by(at),
        };
        let wallet = || partners.wallets().url(&acme, "").unwrap();
        partners.note_ahead(before.as_ref(), said("https://two", 1)).unwrap();
        assert_eq!(wallet(), "https://two");
        partners.note(said("https://two", 1)).unwrap();
        partners.note(said("https://three", 2)).unwrap();
        partners.note_ahead(before.as_ref(), said("https://two", 1)).unwrap();
        assert_eq!(wallet(), "https://three");
    }

    #[test]
    fn a_key_of_ours_verifies_nobody_s_replies() {
        let keys = vec![SecretKey::of_seed(&[9; 32])];
        let partners = Partners::new(Secrets { keys, ..Secrets::default() }, Outbound::default());
        let refused = partners.configure("acme".parse().unwrap(), profile("https://one"));
        assert_eq!(refused, Err(ProfileError::OurKey));
    }

    #[test]
    fn nobody_takes_back_a_pause_of_another() {
        let (partners, acme): (_, PartnerId) = (Partners::default(), "acme".parse().unwrap());
        let rate = std::num::NonZeroU32::new(7);
        let profile = Profile { stakes_per_s: rate, ..profile("https://one") };
        partners.configure(acme.clone(), profile).unwrap();
        assert_eq!(partners.book()[&acme].stakes_per_s, rate);
        let say = |pauser, paused, at| {
            let what = PartnerWord::Paused(pauser, paused);
            partners
                .note(PartnerSaid { partner: "acme".parse().unwrap(), what, by: by(at) })
                .unwrap();
            partners.entry(&acme).unwrap().betting_paused
        };
        assert_eq!(say(Pauser::Deliveries, true, 1).unwrap(), "at 1");
        assert_eq!(say(Pauser::Stakes, true, 2).unwrap(), "at 1");
        assert_eq!(say(Pauser::Operator, false, 3).unwrap(), "at 1");
        assert_eq!(say(Pauser::Deliveries, false, 4).unwrap(), "at 2");
        assert_eq!(say(Pauser::Operator, true, 5).unwrap(), "at 5");
        assert_eq!(say(Pauser::Stakes, false, 6).unwrap(), "at 5");
        assert!(partners.betting(&acme).is_paused_by(Pauser::Operator));
        assert_eq!(say(Pauser::Operator, false, 7), None);
        assert_eq!(partners.betting(&acme).word(), Some(&by(7)));
    }

    #[test]
    fn a_ledger_that_is_signed_off_ends_its_pause_alone() {
        let (partners, acme): (_, PartnerId) = (Partners::default(), "acme".parse().unwrap());
        partners.configure(acme.clone(), profile("https://one")).unwrap();
        let say = |what, at| {
            partners
                .note(PartnerSaid { partner: "acme".parse().unwrap(), what, by: by(at) })
                .unwrap();
            partners.entry(&acme).unwrap().betting_paused
        };
        let ledger = |epoch: &str, restored| {
            PartnerWord::Ledger(LedgerWord { epoch: epoch.to_owned(), restored })
        };
        assert_eq!(say(ledger("1", false), 1), None);
        assert_eq!(say(PartnerWord::Paused(Pauser::Restore, true), 2).unwrap(), "at 2");
        assert_eq!(say(PartnerWord::Paused(Pauser::Stakes, true), 3).unwrap(), "at 2");
        assert_eq!(say(ledger("2", true), 4).unwrap(), "at 3");
        assert_eq!(say(PartnerWord::Paused(Pauser::Stakes, false), 5), None);
        let known = partners.get(&acme).unwrap().ledger.unwrap();
        assert_eq!((known.0.epoch.as_str(), known.0.restored, known.1), ("2", true, by(4)));
    }

    #[test]
    fn what_was_said_last_counts_before_the_configuration() {
        let (partners, acme): (_, PartnerId) = (Partners::default(), "acme".parse().unwrap());
        let say = |what, at| {
            partners.note(PartnerSaid { partner: "acme".parse().unwrap(), what, by: by(at) })
        };
        let wallet = || partners.wallets().url(&acme, "/x").map(|url| url.to_string());
        say(PartnerWord::Paused(Pauser::Operator, true), 1).unwrap();
        assert!(
            partners.all().is_empty() && partners.entry(&acme).is_none(),
            "nobody said who it is"
        );
        partners.configure(acme.clone(), profile("https://one")).unwrap();
        assert_eq!(wallet().unwrap(), "https://one/x");
        assert_eq!(partners.entry(&acme).unwrap().betting_paused.unwrap(), "at 1");
        say(PartnerWord::Profile(profile("https://two")), 2).unwrap();
        say(PartnerWord::Paused(Pauser::Operator, false), 3).unwrap();
        assert_eq!(wallet().unwrap(), "https://two/x");
        let known = partners.get(&acme).unwrap();
        assert_eq!((known.set, known.betting.word()), (Some(by(2)), Some(&by(3))));
        assert_eq!(partners.book()[&acme].betting_paused, None);
        let bad_key = Profile { token_key: "AAAA".to_owned(), ..profile("https://three") };
        assert!(say(PartnerWord::Profile(bad_key), 4).is_err());
        let shared = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let one = profile("").reply_keys[0].clone();
        for (reply_keys, wanted) in [
            (vec![], ProfileError::NoKey),
            (vec![shared], ProfileError::SharedSecret),
            (vec!["whpk_".to_owned()], ProfileError::ReplyKey(KeyError::Length(0))),
            (vec![one; KEYS_MAX + 1], ProfileError::ManyKeys),
        ] {
            let bad = Profile { reply_keys, ..profile("https://three") };
            assert_eq!(say(PartnerWord::Profile(bad), 4), Err(wanted));
        }
        let token_key = URL_SAFE_NO_PAD.encode(key(8).verifying_key());
        let bad_wallet = Profile { token_key, ..profile("three") };
        assert!(say(PartnerWord::Profile(bad_wallet), 5).is_err());
        assert_eq!(wallet().unwrap(), "https://two/x", "what stood stands");
        let claims = Claims {
            iss: "acme".to_owned(),
            sub: "p".to_owned(),
            aud: Audience::One(AUDIENCE.to_owned()),
            iat: 0,
            exp: 600,
            nbf: None,
            cur: None,
        };
        assert!(partners.tokens().player(&issue(&key(7), &claims), 1_000).is_ok(), "and its key");
    }
}
