//! `myelin config`

use std::{fs::OpenOptions, io::Write as _, path::Path};

use anyhow::Context;

use super::print;
use crate::{
    config::{Sources, load, show, template},
    failure::Failure,
};

/// `config init`
pub(super) fn init(output: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = output else { return print(template().trim_end()) };
    let shown = path.display();
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(template().as_bytes()))
        .with_context(|| format!("cannot write {shown}"))?;
    print(format_args!("Wrote {shown}. Use it with: myelin serve --config {shown}"))
}

/// `config check`
pub(super) fn check(sources: &Sources) -> Result<(), Failure> {
    let config = load(sources)?;
    let mut section = "";
    let lines = show(&config, sources)?;
    for line in &lines {
        let (of, name) = line.path.split_once('.').unwrap_or(("", &line.path));
        if of != section {
            print(format_args!("\n[{of}]"))?;
            section = of;
        }
        print(format_args!("{name} = {}  # {}", line.value, line.origin))?;
    }
    Ok(())
}
