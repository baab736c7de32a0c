use std::collections::BTreeMap;

/// Cases that are expected to fail, each with the reason.
///
/// Read from lines of `case-name  reason` or `"case-name" = "reason"` (TOML).
/// Empty lines, lines that start with `#` and TOML table headers are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFailures(BTreeMap<String, String>);

impl KnownFailures {
    /// Reads the list.
    ///
    /// # Errors
    ///
    /// Names the line that has no reason, or a name that came before.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') || line.starts_with('[') {
                continue;
            }
            let (name, reason) = entry(line)
                .ok_or_else(|| format!("line {}: a name and a reason are needed", index + 1))?;
            if list.insert(name.to_owned(), reason.to_owned()).is_some() {
                return Err(format!("line {}: {name} is listed twice", index + 1));
            }
        }
        Ok(Self(list))
    }

    /// Why `case` is expected to fail, if it is.
    #[must_use]
    pub fn reason(&self, case: &str) -> Option<&str> {
        self.0.get(case).map(String::as_str)
    }

    /// The names on the list, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn entry(line: &str) -> Option<(&str, &str)> {
    let (name, reason) = line.split_once(|c: char| c == '=' || c.is_whitespace())?;
    let reason = reason.trim_start();
    let reason = reason.strip_prefix('=').unwrap_or(reason);
    let (name, reason) = (unquoted(name), unquoted(reason));
    (!name.is_empty() && !reason.is_empty()).then_some((name, reason))
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_and_toml_read_alike() {
        let plain = KnownFailures::parse("# why\n\nlogin.a  not yet there\nlogin.b\tslow\n");
        let toml = KnownFailures::parse(
            "[known]\n\"login.a\" = \"not yet there\"\n\"login.b\"=\"slow\"\n",
        );
        assert_eq!(plain, toml);
        assert_eq!(plain.unwrap().reason("login.a"), Some("not yet there"));
    }

    #[test]
    fn a_name_without_a_reason_is_refused_with_its_line() {
        let error = KnownFailures::parse("login.a  reason\nlogin.b\n").unwrap_err();
        assert!(error.starts_with("line 2:"), "{error}");
        assert!(KnownFailures::parse("login.b = \"\"").is_err());
    }

    #[test]
    fn a_name_listed_twice_is_refused() {
        let error = KnownFailures::parse("a  x\na  y\n").unwrap_err();
        assert_eq!(error, "line 2: a is listed twice");
    }

    #[test]
    fn a_reason_may_hold_an_equals_sign() {
        let list = KnownFailures::parse("a  x = y").unwrap();
        assert_eq!(list.reason("a"), Some("x = y"));
    }
}
