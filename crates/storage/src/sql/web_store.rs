//! The port of the pages, on one database.

use std::time::Duration;

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use ruma::UserId;
use tracing::instrument;

use super::{Engine, lookup, web};
use crate::{
    Epoch, Error, Event, Factors, Outcome, TokenDigest, WebSession, WebStore, values::millis,
    web::SEEN_EVERY,
};

#[async_trait]
impl WebStore for Engine {
    #[instrument(level = "debug", skip_all)]
    async fn open_web_session(
        &self,
        id: &TokenDigest,
        session: &WebSession,
        epoch: Epoch,
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error> {
        let (id, session) = (*id, session.clone());
        self.db
            .write(move |c| {
                Box::pin(async move { web::open(c, &id, &session, epoch, event.as_ref()).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn lookup_web_session(
        &self,
        id: &TokenDigest,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Option<(WebSession, Factors)>, Error> {
        let id = *id;
        let found = self
            .db
            .read(move |c| {
                Box::pin(async move {
                    let Some(session) = web::lookup(c, &id, idle, now).await? else {
                        return Ok(None);
                    };
                    let factors = lookup::factors(c, &session.user).await?;
                    Ok(Some((session, factors)))
                })
            })
            .await?;
        let Some((session, factors)) = found else { return Ok(None) };
        if session.last_seen + SEEN_EVERY > now {
            return Ok(Some((session, factors)));
        }
        let holds =
            self.db.write(move |c| Box::pin(async move { web::seen(c, &id, now).await })).await?;
        Ok(holds.then_some((session, factors)))
    }

    #[instrument(level = "debug", skip_all)]
    async fn end_web_session(&self, id: &TokenDigest) -> Result<(), Error> {
        let id = *id;
        self.db.write(move |c| Box::pin(async move { web::end(c, &id).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn put_grant(
        &self,
        digest: &TokenDigest,
        user: &UserId,
        epoch: Epoch,
        expires: Timestamp,
        event: Event,
    ) -> Result<Outcome<()>, Error> {
        let (digest, user, decided) = (*digest, user.to_owned(), (epoch, millis(expires)));
        self.db
            .write(move |c| {
                Box::pin(async move { web::put_grant(c, &digest, &user, decided, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn redeem_grant(
        &self,
        digest: &TokenDigest,
        user: &UserId,
        now: Timestamp,
    ) -> Result<Option<Epoch>, Error> {
        let (digest, user, now) = (*digest, user.to_owned(), millis(now));
        self.db
            .write(move |c| {
                Box::pin(async move { web::redeem_grant(c, &digest, &user, now).await })
            })
            .await
    }
}
