//! What the pages say, and in which language.
//!
//! The texts are in `texts/`, one file per language; `build.rs` makes
//! [`Texts`] of them. `{name}` in a text is filled in by [`fill`].

use http::{HeaderMap, header};

include!(concat!(env!("OUT_DIR"), "/texts.rs"));

/// What is spoken where nothing else is asked for.
const DEFAULT: &str = "en";

/// The language that was asked for in a URL: `ui_locales`, tags in order of
/// preference (`OpenID` Connect Core §3.1.2.1).
pub(crate) fn asked_for(ui_locales: &str) -> Option<&'static Texts> {
    ui_locales.split_ascii_whitespace().find_map(speaking)
}

/// The language that the browser prefers (RFC 9110 §12.5.4).
pub(crate) fn preferred(headers: &HeaderMap) -> &'static Texts {
    let values = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let ranges = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut ranges: Vec<_> = ranges.take(32).filter_map(weighed).collect();
    // A stable sort: of two that are liked alike, the first is meant.
    ranges.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    let found = ranges.into_iter().find_map(|(tag, _)| speaking(tag));
    found.or_else(|| speaking(DEFAULT)).unwrap_or(&LANGUAGES[0])
}

/// A language range and its weight in thousandths; none if it is unwanted.
fn weighed(range: &str) -> Option<(&str, u32)> {
    let (tag, parameter) = range.split_once(';').unwrap_or((range, "q=1"));
    let weight: f32 = parameter.trim().strip_prefix("q=")?.parse().ok()?;
    let thousandths = (1..=1000).rev().find(|step| f64::from(*step) <= f64::from(weight) * 1000.0);
    thousandths.map(|step| (tag.trim(), step))
}

/// The texts for a language tag: `de` speaks `de-AT`.
fn speaking(tag: &str) -> Option<&'static Texts> {
    let primary = tag.split('-').next().unwrap_or(tag);
    let named =
        |name: &str| LANGUAGES.iter().find(|texts| texts.language.eq_ignore_ascii_case(name));
    named(tag).or_else(|| named(primary))
}

/// Puts values where a text has their names in braces.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(values.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value));
        rest = after;
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn spoken(accept: &'static str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        preferred(&headers).language
    }

    #[test]
    fn the_browsers_favourite_language_is_spoken() {
        for (accept, language) in [
            ("de", "de"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("fr, de;q=0.3, en;q=0.5", "en"),
            ("en;q=0, de", "de"),
            ("fr", "en"),
            ("de;q=0", "en"),
            ("*", "en"),
            ("de;q=banana", "en"),
            ("", "en"),
        ] {
            assert_eq!(spoken(accept), language, "{accept}");
        }
    }

    #[test]
    fn the_first_known_language_of_a_url_is_spoken() {
        assert_eq!(asked_for("fr-CA de-CH en").map(|texts| texts.language), Some("de"));
        assert!(asked_for("fr xx <script>").is_none());
    }

    #[test]
    fn every_language_fills_in_the_same_values() {
        let names = |text: &'static str| {
            let mut names: Vec<_> =
                text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
            names.sort_unstable();
            names
        };
        let reference = asked_for(DEFAULT).unwrap();
        for texts in &LANGUAGES {
            for ((key, text), (_, expected)) in texts.all().into_iter().zip(reference.all()) {
                assert_eq!(names(text), names(expected), "`{key}` in {}", texts.language);
            }
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("{a} and {b}", &[("a", "{b}"), ("b", "x")]), "{b} and x");
        assert_eq!(fill("{a", &[("a", "x")]), "x");
    }
}
