//! Where settings come from: the file, the environment, the command line;
//! each stronger than the one before.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

use super::{
    keys::{self, KEYS, Key, Kind},
    typed::Typed,
};

/// The sources of one run.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// What the environment says, by the name of the variable.
    pub(crate) environment: BTreeMap<String, String>,
    /// What the command line says: flag, key, text.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
}

/// The settings as they were typed, and where those come from that are set.
pub(super) struct Read {
    pub(super) typed: Typed,
    pub(super) origins: Origins,
}

/// By key: the file, the variable or the flag.
pub(super) type Origins = BTreeMap<&'static str, String>;

impl Sources {
    /// This process's environment, and these.
    pub(crate) fn new(
        file: Option<PathBuf>,
        flags: Vec<(&'static str, &'static str, String)>,
    ) -> Self {
        let text = |key: &Key| {
            // An empty variable is one that is not set.
            let text = env::var(key.variable).ok().filter(|text| !text.is_empty())?;
            Some((key.variable.to_owned(), text))
        };
        Self { file, environment: KEYS.iter().filter_map(text).collect(), flags }
    }

    /// Reads all of them.
    pub(super) fn read(&self) -> Result<Read> {
        let mut merged = Merged::default();
        if let Some(path) = &self.file {
            merged.add_file(path)?;
        }
        for key in KEYS {
            if let Some(text) = self.environment.get(key.variable) {
                merged.set(key, key.variable, text)?;
            }
        }
        for (flag, path, text) in &self.flags {
            let key = keys::find(path).ok_or_else(|| anyhow!("there is no setting {path}"))?;
            merged.set(key, flag, text)?;
        }
        let Merged { table, origins } = merged;
        // The file has passed this already, so what is wrong is outside of it.
        let typed = table
            .try_into()
            .map_err(|error| anyhow!("{}", error.message()))
            .context("the environment")?;
        Ok(Read { typed, origins })
    }
}

#[derive(Default)]
struct Merged {
    table: Table,
    origins: Origins,
}

impl Merged {
    fn add_file(&mut self, path: &Path) -> Result<()> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let wrong = |error: toml::de::Error| anyhow!("{shown}{}", describe(&text, &error));
        // Read twice: as what it must be, for errors that name the line, and
        // as a table, to put other sources over it.
        toml::from_str::<Typed>(&text).map_err(wrong)?;
        self.table = toml::from_str(&text).map_err(wrong)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for key in KEYS {
            let Some(value) = slot(&mut self.table, key.path) else { continue };
            self.origins.insert(key.path, shown.to_string());
            if let (Kind::Path, Value::String(text)) = (key.kind, value) {
                *text = relative_to(folder, text)?;
            }
        }
        for key in KEYS {
            if let Some(other) = key.instead_of
                && self.origins.contains_key(key.path)
                && self.origins.contains_key(other)
            {
                bail!("{shown}: {} and {other} say the same: keep one of them", key.path);
            }
        }
        Ok(())
    }

    /// Sets a key from a source that is stronger than all so far.
    fn set(&mut self, key: &'static Key, origin: &str, text: &str) -> Result<()> {
        let value = value(key.kind, text).with_context(|| format!("{origin} ({})", key.path))?;
        if let Some(other) = key.instead_of {
            remove(&mut self.table, other);
            self.origins.remove(other);
        }
        insert(&mut self.table, key.path, value);
        self.origins.insert(key.path, origin.to_owned());
        Ok(())
    }
}

/// `: line 3, column 5: unknown field …`, without the line itself: it may hold
/// a secret.
fn describe(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().replace("unknown field", "unknown key");
    let Some(span) = error.span() else { return format!(": {message}") };
    let before = &text[..text.floor_char_boundary(span.start)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(": line {line}, column {column}: {message}")
}

fn relative_to(folder: &Path, text: &str) -> Result<String> {
    let path = folder.join(text).into_os_string().into_string();
    path.map_err(|_| anyhow!("the path of the folder {} is not UTF-8", folder.display()))
}

fn value(kind: Kind, text: &str) -> Result<Value> {
    Ok(match kind {
        Kind::Text | Kind::Path => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(
            text.trim().parse::<u32>().map_err(|_| anyhow!("must be a whole number"))?.into(),
        ),
        Kind::Switch => {
            Value::Boolean(text.trim().parse().map_err(|_| anyhow!("must be `true` or `false`"))?)
        }
        Kind::List => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
    })
}

/// The section of a key, if it has one, and its name there.
fn parts(path: &str) -> (Option<&str>, &str) {
    path.split_once('.').map_or((None, path), |(section, name)| (Some(section), name))
}

fn slot<'t>(table: &'t mut Table, path: &str) -> Option<&'t mut Value> {
    match parts(path) {
        (None, name) => table.get_mut(name),
        (Some(section), name) => table.get_mut(section)?.as_table_mut()?.get_mut(name),
    }
}

fn insert(table: &mut Table, path: &str, value: Value) {
    let (section, name) = parts(path);
    let Some(section) = section else {
        table.insert(name.to_owned(), value);
        return;
    };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(name.to_owned(), value);
    }
}

fn remove(table: &mut Table, path: &str) {
    if let (Some(section), name) = parts(path)
        && let Some(Value::Table(section)) = table.get_mut(section)
    {
        section.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Read> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("myelin.toml");
        fs::write(&path, file).unwrap();
        let environment =
            environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        Sources { file: Some(path), environment, flags: Vec::new() }.read()
    }

    fn problem(file: &str, environment: &[(&str, &str)]) -> String {
        format!("{:#}", read(file, environment).err().expect("it is refused"))
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let problem = problem("server_name = \"a\"\n\n[totp]\n  digit = 6\n", &[]);
        assert!(problem.contains("line 4, column 3: unknown key `digit`"), "{problem}");
        assert!(problem.contains("`digits`"), "says what there is: {problem}");
    }

    #[test]
    fn an_unknown_section_is_named_with_its_line() {
        let problem = problem("\n[databse]\nurl = \"x\"\n", &[]);
        assert!(problem.contains("line 2") && problem.contains("`databse`"), "{problem}");
    }

    #[test]
    fn an_error_in_the_file_never_quotes_the_line() {
        for file in ["[database]\nurl = \"postgres://u:s3cret@h/d\n", "[database]\nurl = s3cret"] {
            let problem = problem(file, &[]);
            assert!(problem.contains("line 2"), "{problem}");
            assert!(!problem.contains("s3cret"), "{problem}");
        }
    }

    #[test]
    fn the_environment_is_stronger_than_the_file() {
        let read = read("[totp]\ndigits = 7", &[("MYELIN_TOTP_DIGITS", "8")]).unwrap();
        assert_eq!(read.typed.totp.digits, Some(8));
        assert_eq!(read.origins["totp.digits"], "MYELIN_TOTP_DIGITS");
    }

    #[test]
    fn a_stronger_source_unsets_the_other_spelling() {
        let file = "[database]\nurl_file = \"url\"";
        let read = read(file, &[("MYELIN_DATABASE_URL", "sqlite:x")]).unwrap();
        assert!(read.typed.database.url_file.is_none());
        assert!(read.typed.database.url.is_some());
    }

    #[test]
    fn two_spellings_in_one_file_are_refused() {
        let problem = problem("[database]\nurl_file = \"url\"\nurl = \"sqlite:x\"", &[]);
        assert!(problem.contains("database.url and database.url_file"), "{problem}");
    }

    #[test]
    fn a_variable_that_cannot_be_read_is_named() {
        for (variable, text) in [
            ("MYELIN_TOTP_DIGITS", "six"),
            ("MYELIN_DATABASE_MIGRATE", "yes"),
            ("MYELIN_LIMITS_BODY", "-1"),
        ] {
            assert!(problem("", &[(variable, text)]).contains(variable), "{variable}");
        }
    }

    #[test]
    fn a_path_in_the_file_is_relative_to_the_file() {
        let read = read("data_dir = \"data\"", &[]).unwrap();
        let folder = read.typed.data_dir.unwrap();
        assert!(folder.is_absolute() && folder.ends_with("data"), "{}", folder.display());
    }

    #[test]
    fn every_key_of_the_list_can_be_set_by_its_variable() {
        for key in KEYS {
            let text = match key.kind {
                Kind::Text | Kind::Path | Kind::List => "x",
                Kind::Number => "1",
                Kind::Switch => "true",
            };
            let read = read("", &[(key.variable, text)]).unwrap();
            assert_eq!(read.origins.keys().collect::<Vec<_>>(), [&key.path]);
        }
    }
}
