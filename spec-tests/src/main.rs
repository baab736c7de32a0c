//! `spec-tests`: parses the command line, prints the report, exits.

use std::{fs, io::Write, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use spec_tests::{Case, Format, KnownFailures, Options};

const AFTER_HELP: &str = "\
Example: spec-tests --target http://localhost:8008 --filter throttle.

Exit codes:
  0  every case ended as expected
  1  a failure, or a known failure that passes
  2  wrong usage, or a target that does not answer";

/// Conformance suite for two-factor User-Interactive Authentication in Matrix.
///
/// Registers its own users on the target. There is a case for each MUST of the
/// proposal that can be seen from outside; proposal/conformance.json lists the
/// others, each with the reason. The target has to set up codes of 6 digits and
/// 30 seconds.
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// Base address of the server under test, http://host:port (no https)
    #[arg(long, default_value = "http://localhost:8008")]
    target: String,
    /// Token for servers that demand one to register
    #[arg(long)]
    registration_token: Option<String>,
    /// The server's name [default: that of the first registered user]
    #[arg(long)]
    server_name: Option<String>,
    /// Run only the cases whose name contains this
    #[arg(long, value_name = "SUBSTRING")]
    filter: Option<String>,
    /// Print the names and clauses of the cases and run nothing
    #[arg(long)]
    list: bool,
    /// Also run the cases that wait for the next TOTP step
    #[arg(long)]
    slow: bool,
    /// Expected failures: lines of `case-name  reason`, or TOML
    #[arg(long, value_name = "FILE")]
    known_failures: Option<PathBuf>,
    /// How many cases run at the same time
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = FormatArgument::Text)]
    format: FormatArgument,
    /// Write the report to a file instead of the standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArgument {
    Text,
    Tap,
    Junit,
}

/// Exit code of wrong usage; clap uses the same.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match execute(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("spec-tests: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

/// Whether every case ended as expected.
fn execute(arguments: Arguments) -> anyhow::Result<bool> {
    let format = match arguments.format {
        FormatArgument::Text => Format::Text,
        FormatArgument::Tap => Format::Tap,
        FormatArgument::Junit => Format::Junit,
    };
    let (list, output) = (arguments.list, arguments.output.clone());
    let options = options(arguments)?;
    if list {
        print(&listing(&options), output)?;
        return Ok(true);
    }
    let report = spec_tests::run(&options)?;
    print(&format.render(&report), output)?;
    Ok(report.is_success())
}

fn options(arguments: Arguments) -> anyhow::Result<Options> {
    let known_failures = match &arguments.known_failures {
        None => KnownFailures::default(),
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
            KnownFailures::parse(&text)
                .map_err(anyhow::Error::msg)
                .with_context(|| file.display().to_string())?
        }
    };
    Ok(Options {
        target: arguments.target,
        registration_token: arguments.registration_token,
        server_name: arguments.server_name,
        filter: arguments.filter,
        threads: arguments.threads,
        slow: arguments.slow,
        known_failures,
    })
}

fn listing(options: &Options) -> String {
    let filter = options.filter.as_deref().unwrap_or_default();
    let line = |case: &Case| {
        let slow = if case.is_slow() { " (--slow)" } else { "" };
        format!("{}{slow}\n    {}: {}\n", case.name(), case.section(), case.clause())
    };
    spec_tests::cases().iter().filter(|case| case.name().contains(filter)).map(line).collect()
}

fn print(text: &str, output: Option<PathBuf>) -> anyhow::Result<()> {
    match output {
        Some(file) => fs::write(&file, text).with_context(|| file.display().to_string()),
        None => std::io::stdout().write_all(text.as_bytes()).context("standard output"),
    }
}
