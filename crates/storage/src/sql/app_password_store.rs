//! The port of app passwords, on one database.

use async_trait::async_trait;
use myelin_two_factor::AppPasswordId;
use ruma::UserId;
use tracing::instrument;

use super::{Engine, app_passwords};
use crate::{
    AppPasswords, Epoch, Error, Event, ListedAppPassword, NewAppPassword, Outcome, TokenDigest,
};

#[async_trait]
impl AppPasswords for Engine {
    #[instrument(level = "debug", skip_all)]
    async fn create_app_password(
        &self,
        user: &UserId,
        password: &NewAppPassword,
        epoch: Epoch,
        event: Event,
    ) -> Result<Outcome<bool>, Error> {
        let (user, password) = (user.to_owned(), password.clone());
        self.db
            .write(move |c| {
                Box::pin(
                    async move { app_passwords::create(c, &user, &password, epoch, &event).await },
                )
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn app_passwords(&self, user: &UserId) -> Result<Vec<ListedAppPassword>, Error> {
        let user = user.to_owned();
        self.db.read(move |c| Box::pin(async move { app_passwords::list(c, &user).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn redeem_app_password(
        &self,
        user: &UserId,
        digest: &TokenDigest,
        event: Event,
    ) -> Result<Option<Epoch>, Error> {
        let (user, digest) = (user.to_owned(), *digest);
        self.db
            .write(move |c| {
                Box::pin(async move { app_passwords::redeem(c, &user, &digest, event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn revoke_app_password(
        &self,
        user: &UserId,
        id: &AppPasswordId,
        event: Event,
    ) -> Result<bool, Error> {
        let (user, id) = (user.to_owned(), id.clone());
        self.db
            .write(move |c| {
                Box::pin(async move { app_passwords::revoke(c, &user, &id, &event).await })
            })
            .await
    }
}
