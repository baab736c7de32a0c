//! App passwords are long, random, and told from every other password.

use myelin_ambient::{SeededEntropy, SystemEntropy};
use myelin_two_factor::{AppPassword, AppPasswordId};

#[test]
fn an_app_password_is_eight_groups_of_32_symbols() {
    let password = AppPassword::generate(&SystemEntropy);
    let groups: Vec<_> = password.expose().split('-').collect();
    assert_eq!((groups.len(), groups[0]), (9, "mapp"));
    let symbols = "0123456789abcdefghjkmnpqrstvwxyz";
    assert!(groups[1..].iter().all(|group| group.len() == 4));
    assert!(groups[1..].concat().chars().all(|char| symbols.contains(char)));
}

#[test]
fn an_app_password_is_read_as_it_was_made() {
    for seed in 0..50 {
        let made = AppPassword::generate(&SeededEntropy::new(seed));
        let read = AppPassword::parse(made.expose()).expect("it is one");
        assert_eq!(read.expose(), made.expose());
    }
}

#[test]
fn two_app_passwords_differ() {
    let (one, other) =
        (AppPassword::generate(&SystemEntropy), AppPassword::generate(&SystemEntropy));
    assert_ne!(one.expose(), other.expose());
}

#[test]
fn nothing_but_the_exact_form_is_an_app_password() {
    let right = "mapp-0123-4567-89ab-cdef-ghjk-mnpq-rstv-wxyz";
    assert!(AppPassword::parse(right).is_some());
    let others = [
        right.to_uppercase(),
        right.replace('-', ""),
        right.replace('-', " "),
        right.replace('0', "o"),
        right.replace('1', "l"),
        right.replace("mapp", "mapq"),
        format!("{right} "),
        format!(" {right}"),
        format!("{right}-"),
        format!("{right}-0123"),
        right[..right.len() - 1].to_owned(),
        right[..right.len() - 5].to_owned(),
        right.replace("-0123-4567", "-01234-567"),
        right.replace("4567", "456é"),
        "mapp".to_owned(),
        String::new(),
    ];
    for other in others {
        assert!(AppPassword::parse(&other).is_none(), "{other}");
    }
}

#[test]
fn an_identifier_is_read_as_it_was_made_and_no_other_text_is() {
    let id = AppPasswordId::generate(&SystemEntropy);
    assert_eq!(AppPasswordId::parse(id.as_str()), Some(id));
    for other in ["", "p_", "t_AAAAAAAAAAAAAAAA", "p_AAAAAAAAAAAAAAA", "p_AAAAAAAAAAAAAAA/"] {
        assert_eq!(AppPasswordId::parse(other), None, "{other}");
    }
}

#[test]
fn an_app_password_is_redacted() {
    let password = AppPassword::generate(&SystemEntropy);
    assert_eq!(format!("{password:?}"), "AppPassword(redacted)");
}
