//! The fields of a form or a query, read strictly.

use std::fmt;

use url::form_urlencoded;
use zeroize::Zeroizing;

/// More fields than any page of ours has.
const MOST: usize = 32;

/// Fields, each there once. They may hold passwords and codes.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`; none where a field is there
    /// twice, since two readers could then believe two things.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            if fields.len() == MOST || fields.iter().any(|(known, _)| *known == name) {
                return None;
            }
            fields.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Some(Self(fields))
    }

    /// The value of a field, if it is there.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field; empty if it is missing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fields) = self;
        f.debug_list().entries(fields.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_there_twice_is_refused() {
        assert!(Fields::parse(b"a=1&a=2").is_none());
        assert!(Fields::parse(b"a=1&%61=2").is_none());
        let fields = Fields::parse(b"a=1+2%26&b").unwrap();
        assert_eq!(
            (fields.text("a"), fields.find("b"), fields.find("c")),
            ("1 2&", Some(""), None)
        );
    }

    #[test]
    fn no_value_is_shown_for_debugging() {
        let fields = Fields::parse(b"password=hunter2").unwrap();
        assert_eq!(format!("{fields:?}"), r#"["password"]"#);
    }
}
