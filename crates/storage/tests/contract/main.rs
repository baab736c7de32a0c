//! The contract: what every database must keep to, races included.
//!
//! The suite knows the store only through its verbs, and raw SQL only where it
//! plays somebody who tampers. Each claim is tested on SQLite and on PostgreSQL
//! under its own name. Nothing here waits for time to pass: the time is an
//! argument.

mod accounts;
mod app_passwords;
mod audit;
mod devices;
mod enrolment;
mod epochs;
mod failure;
mod keys;
mod login_tokens;
mod quotas;
mod races;
mod raw;
mod recovery;
mod refresh;
mod sessions;
mod spending;
mod support;
mod throttling;
mod web;
