//! What the verbs need, in one place.

use std::sync::Arc;

use super::super::{Backend, Finder};
use crate::{Database, Quota, Schema, sealed::Sealer};

/// One database behind both ports.
#[derive(Clone, Debug)]
pub(in super::super) struct Engine {
    pub(super) db: Backend,
    pub(super) finder: Finder,
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
        let engine =
            Arc::new(Self { finder: Finder::new(&db), db, sealer: Arc::new(sealer), quota });
        Database { store: engine.clone(), accounts: engine, schema }
    }
}
