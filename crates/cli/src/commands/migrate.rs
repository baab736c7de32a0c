//! `myelin migrate`

use myelin_storage::Schema;

use super::print;
use crate::{
    config::{Sources, load},
    failure::Failure,
    first_start,
};

/// Brings the schema up to date.
pub(super) async fn run(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    let prepared = first_start::prepare(&config, true).await?;
    for made in &prepared.made {
        print(format_args!("Made: {made}"))?;
    }
    match prepared.database.schema {
        Schema { before: None, now } => print(format_args!("The schema was made: version {now}.")),
        Schema { before: Some(before), now } if before == now => {
            print(format_args!("The schema is up to date: version {now}. Nothing was changed."))
        }
        Schema { before: Some(before), now } => {
            print(format_args!("The schema was brought from version {before} to version {now}."))
        }
    }
}
