//! The address of the database, which may hold a password.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const HIDDEN: &str = "…";

/// The address of a database: SQLite's with a path, or PostgreSQL's.
#[derive(Clone)]
pub(crate) struct DatabaseUrl(Zeroizing<String>);

impl DatabaseUrl {
    /// Checks the scheme.
    ///
    /// # Errors
    ///
    /// For another scheme, and for SQLite without a file: what is kept in
    /// memory is lost, and nothing here may be.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let url = Self(Zeroizing::new(url.to_owned()));
        let postgres = url.0.starts_with("postgres://") || url.0.starts_with("postgresql://");
        match url.sqlite_file() {
            None if postgres => Ok(url),
            Some(file) if !file.as_os_str().is_empty() && !is_memory(file) => Ok(url),
            Some(_) => bail!("`sqlite:` needs the path of a file"),
            None => bail!("it must begin with `sqlite:` or `postgres://`"),
        }
    }

    /// SQLite in this file.
    pub(super) fn sqlite(file: PathBuf) -> Result<Self> {
        match file.into_os_string().into_string() {
            Ok(file) => Self::parse(&format!("sqlite:{file}")),
            Err(_) => bail!("the data directory's name is not UTF-8: set database.url"),
        }
    }

    /// The address itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The file, if it is SQLite's.
    pub(crate) fn sqlite_file(&self) -> Option<&Path> {
        let path = self.0.strip_prefix("sqlite:")?;
        Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
    }

    /// The address without its password, for people.
    pub(crate) fn redacted(&self) -> String {
        if let Some(file) = self.sqlite_file() {
            return format!("sqlite:{}", file.display());
        }
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        // First the login, up to the last `@` of all: a password that was not
        // escaped may hold `/`, `?` and `@`.
        let rest = match rest.rsplit_once('@') {
            Some((login, host)) => match login.split_once(':') {
                Some((user, _)) => format!("{user}:{HIDDEN}@{host}"),
                None => rest.to_owned(),
            },
            None => rest.to_owned(),
        };
        match rest.split_once('?') {
            Some((address, query)) => format!("{scheme}://{address}?{}", redacted_query(query)),
            None => format!("{scheme}://{rest}"),
        }
    }
}

fn is_memory(file: &Path) -> bool {
    file.to_string_lossy().starts_with(':')
}

fn redacted_query(query: &str) -> String {
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
            format!("{name}={HIDDEN}")
        }
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("&")
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DatabaseUrl").field(&self.redacted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (url, shown) in [
            ("postgres://u:s3cret@h:1/d", "postgres://u:…@h:1/d"),
            ("postgres://u:s3c/ret@h/d", "postgres://u:…@h/d"),
            ("postgres://u:s3@cret@h/d", "postgres://u:…@h/d"),
            ("postgres://u:s3?cret@h/d", "postgres://u:…@h/d"),
            (
                "postgres://h/d?user=u&password=s3cret&sslmode=require",
                "postgres://h/d?user=u&password=…&sslmode=require",
            ),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("sqlite:///var/lib/myelin.db", "sqlite:/var/lib/myelin.db"),
        ] {
            let url = DatabaseUrl::parse(url).unwrap();
            assert_eq!(url.redacted(), shown);
            assert!(!format!("{url:?}").contains("cret"));
        }
    }

    #[test]
    fn a_database_that_is_lost_or_unknown_is_refused() {
        for url in ["", "sqlite:", "sqlite::memory:", "sqlite://", "mysql://h/d", "data.db"] {
            assert!(DatabaseUrl::parse(url).is_err(), "{url}");
        }
    }
}
