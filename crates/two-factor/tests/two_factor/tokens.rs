//! How a client's text becomes a token.

use myelin_two_factor::{Digits, Step, TotpParameters, TotpToken};
use proptest::prelude::*;

use crate::secret;

fn digits(digits: u8) -> Digits {
    Digits::new(digits).expect("6 to 8 digits")
}

/// The digits that `text` is read as.
fn read(text: &str, count: u8) -> Option<String> {
    TotpToken::parse(text, digits(count)).map(|token| token.expose().to_owned())
}

#[test]
fn spaces_and_hyphens_are_ignored() {
    for text in ["123456", "123 456", "123-456", " 1 2 3 4 5 6 ", "--123456", "- 123 -- 456 -"] {
        assert_eq!(read(text, 6).as_deref(), Some("123456"), "{text:?}");
    }
    assert_eq!(read("0000 0001", 8).as_deref(), Some("00000001"));
    assert_eq!(read("012 3456", 7).as_deref(), Some("0123456"));
}

#[test]
fn malformed_tokens_are_refused() {
    let table = [
        "",
        " ",
        "-",
        "12345",
        "1234567",
        "12345a",
        "+12345",
        "1234.5",
        "123_456",
        "12345\0",
        "123456\n",
        "\t123456",
        "123\u{a0}456",
        "123\u{2010}456",
        "0x1234",
        "1e5000",
        "-12345",
        "１２３４５６",
        "१२३४५६",
        "١٢٣٤٥٦",
        "𝟏𝟐𝟑𝟒𝟓𝟔",
        "null",
        "123456 7",
    ];
    for text in table {
        assert_eq!(read(text, 6), None, "{text:?}");
    }
}

#[test]
fn huge_text_is_refused() {
    assert_eq!(read(&"1".repeat(5_000_000), 6), None);
    assert_eq!(read(&" ".repeat(5_000_000), 6), None);
}

#[test]
fn leading_zeros_are_kept_and_required() {
    assert_eq!(read("000001", 6).as_deref(), Some("000001"));
    assert_eq!(read("1", 6), None);
}

#[test]
fn code_of_another_length_is_malformed() {
    for (have, want) in [(6, 7), (6, 8), (7, 6), (7, 8), (8, 6), (8, 7)] {
        assert_eq!(read(&"7".repeat(have), want), None, "{have} for {want}");
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_code_is_the_same_token(
        code in "[0-9]{6}",
        gaps in prop::collection::vec("[ -]{0,3}", 7),
    ) {
        let mut text = gaps[0].clone();
        for (digit, gap) in code.chars().zip(&gaps[1..]) {
            text.push(digit);
            text.push_str(gap);
        }
        prop_assert_eq!(read(&text, 6), Some(code));
    }

    #[test]
    fn any_text_is_read_as_its_digits_or_not_at_all(text in any::<String>()) {
        let rest: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let well_formed = rest.len() == 6 && rest.bytes().all(|byte| byte.is_ascii_digit());
        prop_assert_eq!(read(&text, 6), well_formed.then_some(rest));
    }

    #[test]
    fn every_generated_code_has_its_digits(step in any::<u64>(), seed: u64, count in 6_u8..=8) {
        let parameters = TotpParameters { digits: digits(count), ..Default::default() };
        let token = TotpToken::generate(&secret(seed), Step(step), &parameters);
        let text = token.expose().to_owned();
        prop_assert_eq!(read(&text, count), Some(text));
    }
}
