//! The test vectors of RFC 6238 and RFC 4226.

use myelin_two_factor::{
    Digits, Step, TotpParameters, TotpSecret, TotpToken, Verdict, Window, totp::verify,
};

use crate::at_secs;

/// The secret of both RFCs: the ASCII digits 1 to 0, twice.
fn rfc_secret() -> TotpSecret {
    TotpSecret::from_bytes(*b"12345678901234567890")
}

/// RFC 6238 appendix B, the rows for SHA-1: seconds since the epoch, step,
/// code.
const RFC_6238: [(u64, u64, &str); 6] = [
    (59, 0x0000_0001, "94287082"),
    (1_111_111_109, 0x0235_23EC, "07081804"),
    (1_111_111_111, 0x0235_23ED, "14050471"),
    (1_234_567_890, 0x0273_EF07, "89005924"),
    (2_000_000_000, 0x03F9_40AA, "69279037"),
    (20_000_000_000, 0x27BC_86AA, "65353130"),
];

fn rfc_parameters() -> TotpParameters {
    TotpParameters {
        digits: Digits::new(8).expect("eight digits"),
        window: Window::new(0).expect("no drift"),
        ..Default::default()
    }
}

#[test]
fn rfc_6238_codes_are_generated() {
    let parameters = rfc_parameters();
    for (secs, step, code) in RFC_6238 {
        assert_eq!(parameters.step_at(at_secs(secs)), Step(step), "{secs}");
        let token = TotpToken::generate(&rfc_secret(), Step(step), &parameters);
        assert_eq!(token.expose(), code, "{secs}");
    }
}

#[test]
fn rfc_6238_codes_are_accepted_with_their_step() {
    let parameters = rfc_parameters();
    for (secs, step, code) in RFC_6238 {
        let token = TotpToken::parse(code, parameters.digits).unwrap();
        let verdict = verify(&rfc_secret(), &token, &parameters, at_secs(secs), None);
        assert_eq!(verdict, Verdict::Accepted(Step(step)), "{secs}");
    }
}

#[test]
fn rfc_6238_codes_are_wrong_at_every_other_time_of_the_table() {
    let parameters = rfc_parameters();
    for (secs, step, _) in RFC_6238 {
        for (_, other, code) in RFC_6238.into_iter().filter(|(_, other, _)| *other != step) {
            let token = TotpToken::parse(code, parameters.digits).unwrap();
            let verdict = verify(&rfc_secret(), &token, &parameters, at_secs(secs), None);
            assert_eq!(verdict, Verdict::Wrong, "code of {other} at {secs}");
        }
    }
}

#[test]
fn rfc_4226_codes_of_six_digits_are_generated() {
    // RFC 4226 appendix D, counters 0 to 9.
    let codes = [
        "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
        "520489",
    ];
    for (step, code) in (0..).zip(codes) {
        let token = TotpToken::generate(&rfc_secret(), Step(step), &TotpParameters::default());
        assert_eq!(token.expose(), code);
    }
}
