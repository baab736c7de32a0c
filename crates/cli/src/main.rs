//! `myelin`: second factors for every Matrix account, in one program.
//!
//! It owns arguments, settings, files on disk and exit codes, and joins the
//! crates that do the work. Each command is a file in `commands`.

mod args;
mod commands;
mod config;
mod data_dir;
mod database;
mod failure;
mod first_start;
mod homeserver;
mod key_file;
mod log;
mod operator;
mod times;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

/// A forwarded request is mostly small allocations; and what hashing a password
/// took goes back to the system, on whichever thread it was.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match commands::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
