//! What the verbs need, in one place.

use std::sync::Arc;

use super::{
    super::{Backend, Finder},
    devices, lookup,
};
use crate::{Database, Quota, Schema, sealed::Sealer};

/// One database behind both ports.
#[derive(Clone, Debug)]
pub(in super::super) struct Engine {
    pub(super) db: Backend,
    pub(super) tokens: Finder,
    pub(super) sessions: Finder,
    pub(super) sealer: Arc<Sealer>,
    pub(super) quota: Quota,
}

impl Engine {
    pub(in super::super) fn database(
        db: Backend,
        sealer: Sealer,
        quota: Quota,
        schema: Schema,
    ) -> Database {
        let engine = Arc::new(Self {
            tokens: Finder::new(&db, devices::TOKEN),
            sessions: Finder::new(&db, lookup::SESSION),
            db,
            sealer: Arc::new(sealer),
            quota,
        });
        Database { store: engine.clone(), accounts: engine, schema }
    }
}
