//! What the tests of several crates share: a throw-away PostgreSQL, one test on
//! every database, seeded users, and real races.
//!
//! It is made for tests: where something is not as it must be, it panics. It
//! knows the store, and nothing of HTTP.

pub mod database;
pub mod fixture;
pub mod postgres;
pub mod race;
pub mod seed;

pub use database::{TestDatabase, on_postgres, on_sqlite, run};
pub use fixture::{NOW, SeededUser};
pub use postgres::Postgres;
pub use seed::Seed;
