//! kill -9 at random moments under load: no code is accepted twice, nothing
//! that was acknowledged is lost, and nothing is half done.
//!
//! [`trial`] starts and kills, [`load`] is what goes on meanwhile, [`verdict`]
//! is what must be true of the logins afterwards, and [`change`] is the one
//! change to an account that goes on beside them, with what must be true of it.

mod change;
mod load;
mod trial;
mod verdict;

use myelin_testing::{TestDatabase, database};

use trial::Trial;

#[test]
fn killed_120_times_on_sqlite() {
    database::on_sqlite(async |database| survives(database, 120).await);
}

#[test]
fn killed_80_times_on_postgres() {
    let name = concat!(module_path!(), "::killed_80_times_on_postgres");
    database::on_postgres(name, async |database| survives(database, 80).await);
}

async fn survives(database: &TestDatabase, kills: usize) {
    let mut trial = Trial::prepare(database, kills).await;
    for round in 0..kills {
        trial.round(round);
    }
    trial.finish().await;
}
