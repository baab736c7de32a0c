//! What the tests are written with: an app on a database of its own, clients,
//! users, and replies that say what they were when they are not as expected.

mod app;
mod browser;
mod client;
mod database;
mod operation;
mod reply;
mod upstream;
mod user;

pub(crate) use app::TestApp;
pub(crate) use browser::{Browser, Page, encoded};
pub(crate) use client::Client;
pub(crate) use database::{Database, Kind};
pub(crate) use operation::Operation;
pub(crate) use reply::Reply;
pub(crate) use upstream::Upstream;
pub(crate) use user::{PASSWORD, User, recovery, totp};

/// Runs each of the named tests on SQLite and on PostgreSQL.
macro_rules! on_every_database {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            use crate::kit::{Kind, TestApp};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                if let Some(app) = TestApp::init(Kind::Sqlite).await {
                    super::$name(app).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if let Some(app) = TestApp::init(Kind::Postgres).await {
                    super::$name(app).await;
                }
            }
        }
    )+};
}
pub(crate) use on_every_database;
