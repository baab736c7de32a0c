//! The port of sessions, factors and the audit log, on one database.

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use myelin_two_factor::{AuthenticatorId, Name, RecoveryHash, TotpSecret};
use myelin_uia::{Admitted, Authenticated, Executable, Progress, Session, SessionId};
use ruma::{OwnedUserId, UserId};
use tracing::instrument;

use super::{
    super::pass_stage, Engine, anchor, audit, change, check, lookup, reseal, sessions, sweep,
    tokens,
};
use crate::{
    Change, Enrolled, Epoch, Error, Event, Factors, Origin, Outcome, RecordedEvent, SealedSecret,
    Spend, Store, TokenDigest,
    bucket::bucket,
    passage::{Claim, Passage},
    settled::Settled,
    values::millis,
};

impl Engine {
    async fn open(
        &self,
        session: &Session,
        origin: &Origin,
        (as_of, now): (Option<Epoch>, Timestamp),
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error> {
        let (session, quota, at) = (session.clone(), self.quota, (as_of, millis(now)));
        let bucket = bucket(origin.address);
        self.db
            .write(move |c| {
                Box::pin(async move {
                    sessions::open(c, &session, &bucket, quota, at, event.as_ref()).await
                })
            })
            .await
    }
}

#[async_trait]
impl Store for Engine {
    #[instrument(level = "debug", skip_all)]
    async fn open_session(
        &self,
        session: &Session,
        origin: &Origin,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<(), Error> {
        // Without an epoch nothing is stale.
        self.open(session, origin, (None, now), event).await.map(drop)
    }

    #[instrument(level = "debug", skip_all)]
    async fn keep_session(
        &self,
        session: &Session,
        origin: &Origin,
        as_of: Epoch,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<Outcome<()>, Error> {
        self.open(session, origin, (Some(as_of), now), event).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn lookup_session(
        &self,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<(Session, Option<Factors>)>, Error> {
        let found = self
            .finder
            .find(lookup::Key::Session(id.digest()), |row| lookup::parse(row, id))
            .await?;
        Ok(found.filter(|(session, _)| session.expires > now))
    }

    #[instrument(level = "debug", skip_all)]
    async fn users(
        &self,
        search: &str,
        after: Option<&UserId>,
        limit: u32,
    ) -> Result<Vec<OwnedUserId>, Error> {
        let (search, after) = (search.to_owned(), after.map_or("", UserId::as_str).to_owned());
        self.db
            .read(move |c| Box::pin(async move { anchor::users(c, &search, &after, limit).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn lookup_factors(&self, user: &UserId) -> Result<Factors, Error> {
        let user = user.to_owned();
        self.db.read(move |c| Box::pin(async move { lookup::factors(c, &user).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn pass_stage(
        &self,
        admitted: Admitted,
        factors: Option<&Factors>,
        spend: Spend,
        now: Timestamp,
        event: Option<Event>,
    ) -> Result<Outcome<Progress>, Error> {
        let passage = Passage::new(&admitted, factors, spend, now)?;
        Ok(if pass_stage(&self.db, passage, event).await? {
            Outcome::Committed(admitted.complete())
        } else {
            Outcome::Stale
        })
    }

    #[instrument(level = "debug", skip_all)]
    async fn execute_session(
        &self,
        executable: Executable,
        factors: Option<&Factors>,
        now: Timestamp,
    ) -> Result<Outcome<Authenticated>, Error> {
        let passage = Passage::execution(&executable, factors, now)?;
        Ok(if pass_stage(&self.db, passage, None).await? {
            Outcome::Committed(executable.execute())
        } else {
            Outcome::Stale
        })
    }

    #[instrument(level = "debug", skip_all)]
    async fn change(
        &self,
        factors: &Factors,
        change: Change,
        event: Event,
    ) -> Result<Outcome<()>, Error> {
        let (claim, sealer) = (Claim::of(factors), self.sealer.clone());
        self.db
            .write(move |c| {
                Box::pin(async move { change::change(c, &sealer, claim, &change, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn rename(
        &self,
        user: &UserId,
        id: &AuthenticatorId,
        name: &Name,
        event: Event,
    ) -> Result<bool, Error> {
        let (user, id, name) = (user.to_owned(), id.clone(), name.clone());
        self.db
            .write(move |c| {
                Box::pin(async move { change::rename(c, &user, &id, &name, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn reset(&self, user: &UserId, event: Event) -> Result<bool, Error> {
        let user = user.to_owned();
        self.db.write(move |c| Box::pin(async move { change::reset(c, &user, &event).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn create_login_token(
        &self,
        token: &TokenDigest,
        user: &UserId,
        epoch: Epoch,
        expires: Timestamp,
        event: Event,
    ) -> Result<Outcome<()>, Error> {
        let (token, user, expires) = (*token, user.to_owned(), millis(expires));
        self.db
            .write(move |c| {
                Box::pin(async move {
                    tokens::create_login_token(c, &token, &user, epoch, expires, &event).await
                })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn redeem_login_token(
        &self,
        token: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<(OwnedUserId, Epoch)>, Error> {
        let (token, now) = (*token, millis(now));
        self.db
            .write(move |c| {
                Box::pin(async move { tokens::redeem_login_token(c, &token, now).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn end_sessions(
        &self,
        user: &UserId,
        as_of: Option<Epoch>,
    ) -> Result<Outcome<()>, Error> {
        let user = user.to_owned();
        self.db
            .write(move |c| Box::pin(async move { change::end_sessions(c, &user, as_of).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn end_all(&self, user: &UserId, event: Event) -> Result<(), Error> {
        let user = user.to_owned();
        self.db
            .write(move |c| Box::pin(async move { change::end_all(c, &user, &event).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn record(&self, event: Event) -> Result<(), Error> {
        self.db
            .write(move |c| {
                Box::pin(async move { audit::record(c, &event).await.map(Settled::Commit) })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn events(&self, user: &UserId, limit: u32) -> Result<Vec<RecordedEvent>, Error> {
        let user = user.to_owned();
        self.db.read(move |c| Box::pin(async move { audit::events(c, &user, limit).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn sweep(&self, now: Timestamp) -> Result<u64, Error> {
        let mut total = 0;
        for batch in sweep::ALL {
            loop {
                let deleted = self.db.write(move |c| batch(c, now)).await?;
                total += deleted;
                if deleted < u64::from(sweep::BATCH) {
                    break;
                }
            }
        }
        Ok(total)
    }

    fn unseal(&self, user: &UserId, authenticator: &Enrolled) -> Result<TotpSecret, Error> {
        self.sealer.open_totp(user, &authenticator.id, &authenticator.secret)
    }

    fn unseal_hash(
        &self,
        user: &UserId,
        index: u32,
        hash: &SealedSecret,
    ) -> Result<RecoveryHash, Error> {
        self.sealer.open_hash(user, index, hash)
    }

    #[instrument(level = "debug", skip_all)]
    async fn check(&self) -> Result<(), Error> {
        self.db.write(|c| Box::pin(check::write(c))).await?;
        let ids = self.db.read(|c| Box::pin(check::key_ids(c))).await?;
        check::all_known(ids, &*self.sealer.reload()?)
    }

    #[instrument(level = "debug", skip_all)]
    async fn reseal(&self, limit: u32) -> Result<u64, Error> {
        let sealer = self.sealer.clone();
        self.db
            .write(move |c| Box::pin(async move { reseal::reseal(c, &sealer, limit).await }))
            .await
    }
}
