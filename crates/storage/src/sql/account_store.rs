//! The port of the embedded homeserver's accounts, on one database.

use async_trait::async_trait;
use myelin_ambient::Timestamp;
use ruma::{DeviceId, OwnedDeviceId, UserId};
use tracing::instrument;

use super::{super::log_in, Engine, accounts, devices, lookup::Key};
use crate::{
    Account, Accounts, Created, Device, DeviceLogin, Epoch, Error, Event, LogoutDevices,
    NewAccount, NewTokens, Outcome, Refreshed, TokenDigest, TokenOwner,
};

#[async_trait]
impl Accounts for Engine {
    #[instrument(level = "debug", skip_all)]
    async fn create(
        &self,
        account: &NewAccount,
        now: Timestamp,
        event: Event,
    ) -> Result<Created, Error> {
        let account = account.clone();
        self.db
            .write(move |c| {
                Box::pin(async move { accounts::create(c, &account, now, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn lookup(&self, user: &UserId) -> Result<Option<Account>, Error> {
        let user = user.to_owned();
        self.db.read(move |c| Box::pin(async move { accounts::lookup(c, &user).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn set_password(
        &self,
        user: &UserId,
        hash: &str,
        devices: LogoutDevices,
        as_of: Option<Epoch>,
        event: Event,
    ) -> Result<Outcome<()>, Error> {
        let (user, hash) = (user.to_owned(), hash.to_owned());
        self.db
            .write(move |c| {
                Box::pin(async move {
                    accounts::set_password(c, &user, &hash, &devices, as_of, &event).await
                })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn deactivate(
        &self,
        user: &UserId,
        as_of: Option<Epoch>,
        event: Event,
    ) -> Result<Outcome<()>, Error> {
        let user = user.to_owned();
        self.db
            .write(move |c| {
                Box::pin(async move { accounts::deactivate(c, &user, as_of, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn log_in(
        &self,
        user: &UserId,
        login: &DeviceLogin,
        epoch: Option<Epoch>,
        now: Timestamp,
        event: Event,
    ) -> Result<Outcome<bool>, Error> {
        log_in(&self.db, user, login, epoch, now, event).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn lookup_token(&self, token: &TokenDigest) -> Result<Option<TokenOwner>, Error> {
        let found = self.finder.find(Key::Token(token.0), devices::owner).await?;
        let Some((owner, true)) = found else {
            return Ok(found.map(|(owner, _)| owner));
        };
        // The first use after a refresh, and the only one that writes.
        let token = *token;
        let holds = self
            .db
            .write(move |c| Box::pin(async move { devices::settle(c, &token).await }))
            .await?;
        Ok(holds.then_some(owner))
    }

    #[instrument(level = "debug", skip_all)]
    async fn refresh(
        &self,
        refresh: &TokenDigest,
        tokens: &NewTokens,
        now: Timestamp,
    ) -> Result<Refreshed, Error> {
        let (refresh, tokens) = (*refresh, tokens.clone());
        self.db
            .write(move |c| {
                Box::pin(async move { devices::refresh(c, &refresh, &tokens, now).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn devices(&self, user: &UserId) -> Result<Vec<Device>, Error> {
        let user = user.to_owned();
        self.db.read(move |c| Box::pin(async move { devices::list(c, &user).await })).await
    }

    #[instrument(level = "debug", skip_all)]
    async fn device(&self, user: &UserId, device: &DeviceId) -> Result<Option<Device>, Error> {
        let (user, device) = (user.to_owned(), device.to_owned());
        self.db
            .read(move |c| Box::pin(async move { devices::lookup(c, &user, &device).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn rename_device(
        &self,
        user: &UserId,
        device: &DeviceId,
        name: Option<&str>,
        event: Event,
    ) -> Result<bool, Error> {
        let (user, device) = (user.to_owned(), device.to_owned());
        let name = name.map(ToOwned::to_owned);
        self.db
            .write(move |c| {
                Box::pin(async move {
                    devices::rename(c, &user, &device, name.as_deref(), &event).await
                })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn delete_devices(
        &self,
        user: &UserId,
        devices: &[OwnedDeviceId],
        event: Event,
    ) -> Result<(), Error> {
        if devices.is_empty() {
            return Ok(());
        }
        let (user, devices) = (user.to_owned(), devices.to_vec());
        self.db
            .write(move |c| {
                Box::pin(async move { devices::delete(c, &user, &devices, &event).await })
            })
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn delete_all_devices(&self, user: &UserId, event: Event) -> Result<(), Error> {
        let user = user.to_owned();
        self.db
            .write(move |c| Box::pin(async move { devices::delete_all(c, &user, &event).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn cross_signing(&self, user: &UserId) -> Result<Option<String>, Error> {
        let user = user.to_owned();
        self.db
            .read(move |c| Box::pin(async move { accounts::cross_signing(c, &user).await }))
            .await
    }

    #[instrument(level = "debug", skip_all)]
    async fn set_cross_signing(
        &self,
        user: &UserId,
        keys: &str,
        first_only: bool,
        event: Event,
    ) -> Result<bool, Error> {
        let (user, keys) = (user.to_owned(), keys.to_owned());
        self.db
            .write(move |c| {
                Box::pin(async move {
                    accounts::set_cross_signing(c, &user, &keys, first_only, &event).await
                })
            })
            .await
    }
}
