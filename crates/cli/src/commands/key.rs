//! `myelin key`

use std::path::Path;

use myelin_ambient::SystemEntropy;
use myelin_storage::{Keyring, Store};

use super::print;
use crate::{
    config::{Config, Sources, load},
    database,
    failure::Failure,
    key_file::KeyFile,
};

/// Secrets that are encrypted anew in one transaction: few, so that logins do
/// not wait for it.
const BATCH: u32 = 100;

/// What `key rotate` is to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// A new key, and every secret encrypted with it.
    Rotate,
    /// What an interrupted rotation has left to do.
    Resume,
    /// Away with the keys that are not used any more.
    DropOld,
}

impl Plan {
    /// From the flags, of which at most one is given.
    pub(super) const fn of(resume: bool, drop_old: bool) -> Self {
        match (resume, drop_old) {
            (true, _) => Self::Resume,
            (_, true) => Self::DropOld,
            _ => Self::Rotate,
        }
    }
}

/// `key generate`
pub(super) fn generate(output: Option<&Path>) -> Result<(), Failure> {
    let keyring = Keyring::generate(&SystemEntropy);
    let Some(path) = output else { return print(keyring.to_text().trim_end()) };
    KeyFile::lock(path)?.create(&keyring)?;
    print(format_args!("Made {} with key {}.", path.display(), keyring.current().id()))
}

/// `key rotate`
pub(super) async fn rotate(sources: &Sources, plan: Plan) -> Result<(), Failure> {
    let config = load(sources)?;
    let file = KeyFile::lock(&config.key_file)?;
    let store = database::open_existing(&config).await?.store;
    let left = reseal(&*store, 0).await?;
    match plan {
        Plan::Rotate | Plan::DropOld if left > 0 => Err(half_done(left)),
        Plan::Rotate => {
            let keyring = file.read()?.rotated(&SystemEntropy);
            file.replace(&keyring)?;
            let (id, path) = (keyring.current().id(), config.key_file.display());
            print(format_args!("Key {id} is in {path} and in use."))?;
            reseal_all(&*store).await?;
            hint_at_old_keys(&keyring)
        }
        Plan::Resume => {
            reseal_all(&*store).await?;
            hint_at_old_keys(&file.read()?)
        }
        Plan::DropOld => drop_old(&config, &file, &*store).await,
    }
}

fn half_done(left: u64) -> Failure {
    Failure::failed(format!(
        "a rotation is half done: {left} secrets are still encrypted with an older key. \
         Finish it with `myelin key rotate --resume`"
    ))
}

/// Encrypts every secret with the current key, batch by batch.
async fn reseal_all(store: &dyn Store) -> Result<(), Failure> {
    let mut left = reseal(store, 0).await?;
    let all = left;
    while left > 0 {
        let before = left;
        left = reseal(store, BATCH).await?;
        print(format_args!("Encrypted anew: {} of {all}.", all.saturating_sub(left)))?;
        if left == before {
            // Rows that somebody else holds are passed over: let them finish.
            tokio::task::yield_now().await;
        }
    }
    print("Every secret is encrypted with the current key.")
}

async fn reseal(store: &dyn Store, limit: u32) -> Result<u64, Failure> {
    Ok(store.reseal(limit).await.map_err(anyhow::Error::from)?)
}

fn hint_at_old_keys(keyring: &Keyring) -> Result<(), Failure> {
    if keyring.ids().len() == 1 {
        return Ok(());
    }
    print(
        "Older keys are still in the file. Copy it to every machine and to where you keep a \
           copy, then remove them with `myelin key rotate --drop-old`.",
    )
}

/// Removes every key but the current one, with which every secret is encrypted.
async fn drop_old(config: &Config, file: &KeyFile, store: &dyn Store) -> Result<(), Failure> {
    let keyring = file.read()?;
    let old = keyring.ids().split_off(1);
    if old.is_empty() {
        return print("There are no older keys.");
    }
    file.replace(&keyring.clone().without(&old))?;
    // A server may have begun to encrypt with an old key before the new one was
    // in use, and have written only now. Then the old keys are needed still.
    let left = reseal(store, 0).await?;
    if left > 0 {
        file.replace(&keyring)?;
        return Err(half_done(left));
    }
    print(format_args!("Removed {} from {}.", old.join(", "), config.key_file.display()))
}
