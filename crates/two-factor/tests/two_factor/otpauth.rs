//! The `otpauth://` URI, the secret's text, and the parameters' limits.

use myelin_two_factor::{
    Digits, Period, TotpParameters, TotpSecret, Window, limits::SECRET_BYTES, totp::uri,
};
use proptest::prelude::*;

/// What `12345678901234567890` is in base32, as RFC 4648 writes it.
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn secret() -> TotpSecret {
    TotpSecret::from_bytes(*b"12345678901234567890")
}

#[test]
fn secret_is_shown_as_base32_without_padding() {
    assert_eq!(*secret().to_base32(), BASE32);
}

#[test]
fn uri_is_written_as_the_wire_protocol_says() {
    let table = [
        ("Myelin", "alice@example.org", "Myelin:alice%40example.org", "Myelin"),
        // A server's port: the colon must not stand raw in the label.
        ("Myelin", "alice@example.org:8448", "Myelin:alice%40example.org%3A8448", "Myelin"),
        ("Myelin", "alice@[::1]:8008", "Myelin:alice%40%5B%3A%3A1%5D%3A8008", "Myelin"),
        ("My Server", "a b@x", "My%20Server:a%20b%40x", "My%20Server"),
        ("localhost:8008", "a@x", "localhost%3A8008:a%40x", "localhost%3A8008"),
        // Nothing can be smuggled into the query or the path.
        ("A&B=C", "a?secret=X#/+%@x", "A%26B%3DC:a%3Fsecret%3DX%23%2F%2B%25%40x", "A%26B%3DC"),
        ("Säge", "ü@x", "S%C3%A4ge:%C3%BC%40x", "S%C3%A4ge"),
        ("a-b.c_d~e", "a-b.c_d~e@x", "a-b.c_d~e:a-b.c_d~e%40x", "a-b.c_d~e"),
        ("", "", ":", ""),
    ];
    for (issuer, account, label, escaped_issuer) in table {
        let expected = format!(
            "otpauth://totp/{label}?secret={BASE32}&issuer={escaped_issuer}\
             &algorithm=SHA1&digits=6&period=30"
        );
        let parameters = TotpParameters::default();
        assert_eq!(*uri(&secret(), issuer, account, &parameters), expected);
    }
}

#[test]
fn uri_carries_the_parameters() {
    let parameters = TotpParameters {
        digits: Digits::new(8).unwrap(),
        period: Period::new(60).unwrap(),
        window: Window::new(2).unwrap(),
    };
    let uri = uri(&secret(), "M", "a@x", &parameters);
    assert!(uri.ends_with("&algorithm=SHA1&digits=8&period=60"), "{}", *uri);
}

#[test]
fn parameters_outside_the_limits_are_refused() {
    for digits in 0..=255 {
        assert_eq!(Digits::new(digits).is_ok(), (6..=8).contains(&digits), "{digits} digits");
    }
    for seconds in 0..=1000 {
        assert_eq!(Period::new(seconds).is_ok(), (15..=120).contains(&seconds), "{seconds} s");
    }
    for steps in 0..=255 {
        assert_eq!(Window::new(steps).is_ok(), steps <= 2, "{steps} steps");
    }
    let refusal = Period::new(5).unwrap_err();
    assert_eq!(refusal.to_string(), "period must be 15 to 120, not 5");
}

#[test]
fn default_parameters_are_what_every_app_supports() {
    let TotpParameters { digits, period, window } = TotpParameters::default();
    assert_eq!((digits.get(), period.as_secs(), window.get()), (6, 30, 1));
}

proptest! {
    #[test]
    fn uri_has_one_raw_colon_in_its_label_whatever_the_names(
        issuer in any::<String>(),
        account in any::<String>(),
    ) {
        let uri = uri(&secret(), &issuer, &account, &TotpParameters::default());
        let label = uri.strip_prefix("otpauth://totp/").unwrap().split('?').next().unwrap();
        prop_assert_eq!(label.matches(':').count(), 1);
        prop_assert!(uri.is_ascii());
        prop_assert_eq!(uri.matches('?').count(), 1);
        prop_assert_eq!(uri.matches("secret=").count(), 1);
        prop_assert_eq!(uri.matches('&').count(), 4);
        prop_assert!(uri.len() <= uri.capacity());
    }

    #[test]
    fn secret_survives_its_text(bytes in any::<[u8; SECRET_BYTES]>()) {
        let text = TotpSecret::from_bytes(bytes).to_base32();
        prop_assert_eq!(text.len(), 32);
        let decoded = data_encoding::BASE32_NOPAD.decode(text.as_bytes()).unwrap();
        prop_assert_eq!(decoded, bytes);
    }
}
