//! The commands, one file each.

mod config;
mod doctor;
mod key;
mod migrate;
mod proxies;
mod routes;
mod serve;
mod user;

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use anyhow::Context;

use crate::{
    args::{Args, Command, Config, Key, User},
    failure::Failure,
};

/// Runs the command that was asked for.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Serve { place, listen } => wait(serve::run(&place.sources_with(&listen))),
        Command::Config(Config::Init { output }) => config::init(output.as_deref()),
        Command::Config(Config::Check { place }) => config::check(&place.sources()),
        Command::Migrate { place } => wait(migrate::run(&place.sources())),
        Command::Doctor { place } => wait(doctor::run(&place.sources())),
        Command::User(User::List { place, search, json }) => {
            wait(user::list(&place.sources(), &search, json))
        }
        Command::User(User::Show { user, place, json }) => {
            wait(user::show(&place.sources(), &user, json))
        }
        Command::User(User::ResetTwoFactor { user, place, yes }) => {
            wait(user::reset(&place.sources(), &user, yes))
        }
        Command::Key(Key::Generate { output }) => key::generate(output.as_deref()),
        Command::Key(Key::Rotate { place, resume, drop_old }) => {
            wait(key::rotate(&place.sources(), key::Plan::of(resume, drop_old)))
        }
        Command::Routes { format, proxied } => routes::run(format, &proxied),
    }
}

fn wait(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(command)
}

/// Writes a line to standard output, at once.
///
/// # Errors
///
/// When it cannot be written. A pipe whose reader is gone is no failure: the
/// work goes on, and a server goes on to answer.
fn print(line: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done.context("cannot write to standard output")?),
    }
}
