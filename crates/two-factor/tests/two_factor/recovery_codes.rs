//! Recovery codes: spelling, hashing, finding.

use std::collections::HashSet;

use myelin_ambient::SeededEntropy;
use myelin_two_factor::{
    RecoveryCode, RecoveryHash, RecoverySalt,
    limits::RECOVERY_CODES,
    recovery::{find, generate_set},
};
use proptest::prelude::*;

const SALT: RecoverySalt = RecoverySalt::from_bytes([1; 16]);

/// What `text` is read as, in the form that is shown.
fn read(text: &str) -> Option<String> {
    RecoveryCode::parse(text).map(|code| code.to_text().to_string())
}

#[test]
fn every_usual_spelling_is_read() {
    let table = [
        ("0123-4567-89AB-CDEF", "0123-4567-89AB-CDEF"),
        ("0123456789ABCDEF", "0123-4567-89AB-CDEF"),
        ("0123 4567 89ab cdef", "0123-4567-89AB-CDEF"),
        (" -01-234567 89aBcDeF- ", "0123-4567-89AB-CDEF"),
        ("OoIi-LlGH-JKMN-PQRS", "0011-11GH-JKMN-PQRS"),
        ("TVWX-YZtv-wxyz-0000", "TVWX-YZTV-WXYZ-0000"),
        ("zzzz-zzzz-zzzz-zzzz", "ZZZZ-ZZZZ-ZZZZ-ZZZZ"),
        ("oooo oooo oooo oooo", "0000-0000-0000-0000"),
    ];
    for (text, expected) in table {
        assert_eq!(read(text).as_deref(), Some(expected), "{text:?}");
    }
}

#[test]
fn malformed_codes_are_refused() {
    let table = [
        "",
        " ",
        "----",
        "123456",
        "0123-4567-89AB-CDE",
        "0123-4567-89AB-CDEF0",
        // U is not in Crockford's alphabet.
        "U123-4567-89AB-CDEF",
        "u123-4567-89AB-CDEF",
        "0123_4567_89AB_CDEF",
        "0123\t4567\t89AB\tCDEF",
        "0123\u{a0}4567\u{a0}89AB\u{a0}CDEF",
        "0123–4567–89AB–CDEF",
        "０123-4567-89AB-CDEF",
        "ſ123-4567-89AB-CDEF",
        "\u{212a}123-4567-89AB-CDEF",
        "0123-4567-89AB-CDE\0",
        "*123-4567-89AB-CDEF",
        "0123-4567-89AB-CDE=",
    ];
    for text in table {
        assert_eq!(read(text), None, "{text:?}");
    }
    assert_eq!(read(&"0".repeat(5_000_000)), None);
    assert_eq!(read(&"-".repeat(5_000_000)), None);
}

#[test]
fn set_has_ten_different_codes_and_a_salt_of_its_own() {
    let entropy = SeededEntropy::new(1);
    let (first, second) = (generate_set(&entropy), generate_set(&entropy));
    assert_ne!(first.salt, second.salt);
    assert_eq!(first.codes.len(), RECOVERY_CODES);
    let texts: HashSet<_> =
        first.codes.iter().chain(&second.codes).map(|code| code.to_text().to_string()).collect();
    assert_eq!(texts.len(), 2 * RECOVERY_CODES);
}

/// Changing the hash would make every stored code unusable. The value was
/// checked against the reference implementation.
#[test]
fn hash_is_the_one_that_stored_codes_have() {
    let code = RecoveryCode::parse("0123-4567-89AB-CDEF").unwrap();
    let hash = code.hash(&RecoverySalt::from_bytes(*b"0123456789abcdef"));
    let hex = data_encoding::HEXLOWER.encode(hash.expose());
    assert_eq!(hex, "ce62dc9764faeab0de034259d9d579f2546aa85361e70a5216807c7a53db9aaf");
}

#[test]
fn every_spelling_of_a_code_has_the_same_hash() {
    let shown = RecoveryCode::parse("0123-4567-89AB-CDEF").unwrap().hash(&SALT);
    let typed = RecoveryCode::parse("oL23 4567 89ab cdef").unwrap().hash(&SALT);
    assert_eq!(shown, typed);
}

#[test]
fn hash_depends_on_code_and_salt() {
    let code = RecoveryCode::parse("0123-4567-89AB-CDEF").unwrap();
    let other = RecoveryCode::parse("0123-4567-89AB-CDEG").unwrap();
    assert_ne!(code.hash(&SALT), other.hash(&SALT));
    assert_ne!(code.hash(&SALT), code.hash(&RecoverySalt::from_bytes([2; 16])));
}

#[test]
fn every_code_of_a_set_is_found_by_its_place() {
    let set = generate_set(&SeededEntropy::new(2));
    let unused: Vec<_> = (0..).zip(set.hashes()).collect();
    for (index, code) in (0..).zip(&set.codes) {
        let typed = RecoveryCode::parse(&code.to_text()).unwrap();
        assert_eq!(find(&typed.hash(&set.salt), &unused), Some(index));
    }
}

#[test]
fn code_of_another_set_is_not_found() {
    let entropy = SeededEntropy::new(3);
    let (old, new) = (generate_set(&entropy), generate_set(&entropy));
    let unused: Vec<_> = (0..).zip(new.hashes()).collect();
    assert_eq!(find(&old.codes[0].hash(&new.salt), &unused), None);
    assert_eq!(find(&new.codes[0].hash(&old.salt), &unused), None);
}

#[test]
fn only_unused_codes_are_found() {
    let hash = |byte| RecoveryHash::from_bytes([byte; 32]);
    let unused = [(0, hash(10)), (3, hash(13)), (9, hash(19))];
    assert_eq!(find(&hash(13), &unused), Some(3));
    assert_eq!(find(&hash(19), &unused), Some(9));
    assert_eq!(find(&hash(11), &unused), None);
    assert_eq!(find(&hash(0), &unused), None);
    assert_eq!(find(&hash(10), &[]), None);
}

#[test]
fn stored_hash_is_not_accepted_as_a_code() {
    let hash = RecoveryCode::parse("0123-4567-89AB-CDEF").unwrap().hash(&SALT);
    let hex = data_encoding::HEXLOWER.encode(hash.expose());
    let base32 = data_encoding::BASE32_NOPAD.encode(hash.expose());
    assert_eq!(read(&hex), None);
    assert_eq!(read(&base32), None);
}

/// A way to spell one Crockford character.
fn spelling(symbol: char) -> impl Strategy<Value = char> {
    let spellings: Vec<char> = match symbol {
        '0' => "0oO".chars().collect(),
        '1' => "1iIlL".chars().collect(),
        other => vec![other, other.to_ascii_lowercase()],
    };
    prop::sample::select(spellings)
}

/// A code as shown, and a way to type it.
fn code_and_spelling() -> impl Strategy<Value = (String, String)> {
    any::<u64>().prop_flat_map(|seed| {
        let shown = RecoveryCode::generate(&SeededEntropy::new(seed)).to_text().to_string();
        let typed: Vec<_> =
            shown.chars().filter(|c| *c != '-').map(|c| (spelling(c), "[ -]{0,2}")).collect();
        (Just(shown), typed).prop_map(|(shown, typed)| {
            (
                shown,
                typed.into_iter().flat_map(|(symbol, gap)| [String::from(symbol), gap]).collect(),
            )
        })
    })
}

proptest! {
    #[test]
    fn code_is_read_however_it_is_typed((shown, typed) in code_and_spelling()) {
        prop_assert_eq!(read(&typed), Some(shown));
    }

    #[test]
    fn any_text_is_read_as_one_code_or_not_at_all(text in any::<String>()) {
        let rest: String = text.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let well_formed = rest.len() == 16
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"uU".contains(&byte));
        prop_assert_eq!(read(&text).is_some(), well_formed);
        if let Some(shown) = read(&text) {
            prop_assert_eq!(read(&shown), Some(shown));
        }
    }

    #[test]
    fn shown_code_has_four_groups_of_crockford_characters(seed: u64) {
        let text = RecoveryCode::generate(&SeededEntropy::new(seed)).to_text();
        prop_assert_eq!(text.len(), 19);
        for group in text.split('-') {
            prop_assert_eq!(group.len(), 4);
            prop_assert!(group.bytes().all(|byte| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&byte)));
        }
    }

    #[test]
    fn find_is_a_lookup(
        hashes in prop::collection::vec(0_u8..20, 0..12),
        wanted in 0_u8..20,
    ) {
        // Equal hashes do not occur; without them the answer is unique.
        let mut seen = HashSet::new();
        let unused: Vec<_> = (0..)
            .zip(hashes)
            .filter(|(_, byte)| seen.insert(*byte))
            .map(|(index, byte)| (index, RecoveryHash::from_bytes([byte; 32])))
            .collect();
        let hash = RecoveryHash::from_bytes([wanted; 32]);
        let expected = unused.iter().find(|(_, other)| *other == hash).map(|(index, _)| *index);
        prop_assert_eq!(find(&hash, &unused), expected);
    }
}
