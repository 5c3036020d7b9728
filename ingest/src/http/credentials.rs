//! Who is calling: the bearer credential of a request, checked before its body is read.

use super::ApiState;
use crate::auth::{Duty, Player, TokenError};
use crate::placing::SessionToken;
use crate::problem::{Kind, Problem};
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use runtime::Engine;
use std::collections::BTreeSet;

/// An operator, whose name is told for a duty.
pub(crate) struct Operator {
    pub(super) name: String,
    duties: BTreeSet<Duty>,
}

impl Operator {
    /// The name, if the operator has the duty.
    pub(crate) fn on(self, duty: Duty) -> Result<String, Problem> {
        self.may(&[duty])?;
        Ok(self.name)
    }

    /// Refuses an operator who has none of these duties.
    pub(crate) fn may(&self, duties: &[Duty]) -> Result<(), Problem> {
        if duties.iter().any(|duty| self.duties.contains(duty)) {
            return Ok(());
        }
        let names: Vec<&str> = duties.iter().map(|duty| duty.name()).collect();
        let detail = format!("{} needs role {} for this", self.name, names.join(" or "));
        Err(Problem::new(Kind::ROLE_MISSING, detail))
    }
}

/// A player with the token that says so.
pub(super) struct Bearer {
    pub(super) player: Player,
    /// Goes to the partner with the stake.
    pub(super) token: SessionToken,
}

impl<E: Engine> FromRequestParts<ApiState<E>> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState<E>) -> Result<Self, Problem> {
        let key = bearer(parts)?;
        let operators = api.operators.now();
        let operator = operators.known(key);
        let operator =
            operator.map(|(name, duties)| Self { name: name.to_owned(), duties: duties.clone() });
        let detail = "the bearer credential is no operator's key";
        operator.ok_or_else(|| Problem::new(Kind::OPERATOR_UNKNOWN, detail))
    }
}

impl<E: Engine> FromRequestParts<ApiState<E>> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState<E>) -> Result<Self, Problem> {
        let token = bearer(parts)?;
        let player = api.partners.tokens().player(token, (api.now)()).map_err(|error| {
            let kind = match error {
                TokenError::Expired => Kind::TOKEN_EXPIRED,
                TokenError::Malformed
                | TokenError::Algorithm
                | TokenError::Signature
                | TokenError::Audience
                | TokenError::NotYet
                | TokenError::TooLong => Kind::TOKEN_INVALID,
            };
            Problem::new(kind, error.to_string())
        })?;
        Ok(Self { player, token: SessionToken::new(token.to_owned()) })
    }
}

fn bearer(parts: &Parts) -> Result<&str, Problem> {
    let header = parts.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let credential = header
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, credential)| credential.trim())
        .filter(|credential| !credential.is_empty());
    let detail = "send `Authorization: Bearer <credential>`";
    credential.ok_or_else(|| Problem::new(Kind::CREDENTIAL_MISSING, detail))
}
