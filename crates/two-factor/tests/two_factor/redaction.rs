//! No secret shows itself in debug output.

use myelin_ambient::SeededEntropy;
use myelin_two_factor::{
    Authenticator, Confirmation, Name, RecoveryHash, TotpParameters, TotpSecret, TotpToken,
    recovery::generate_set,
};

use crate::{NOW, token};

#[test]
fn totp_secrets_and_tokens_are_redacted() {
    let secret = TotpSecret::from_bytes(*b"12345678901234567890");
    assert_eq!(format!("{secret:?}"), "TotpSecret(redacted)");
    assert_eq!(format!("{:?}", token("123456")), "TotpToken(6 digits, redacted)");
}

#[test]
fn authenticators_are_shown_without_their_secret() {
    let authenticator = Authenticator::enrol(Name::default(), NOW, &SeededEntropy::new(1));
    let bytes = format!("{:?}", authenticator.secret.expose());
    let base32 = authenticator.secret.to_base32();
    let parameters = TotpParameters::default();
    let code = TotpToken::generate(&authenticator.secret, parameters.step_at(NOW), &parameters);
    let confirmation = authenticator.confirm(&code, &parameters, NOW);
    assert!(matches!(confirmation, Confirmation::Confirmed(_)));
    let shown = format!("{confirmation:?}");
    assert!(shown.contains("TotpSecret(redacted)"), "{shown}");
    for secret in [bytes.as_str(), base32.as_str(), code.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn recovery_codes_and_hashes_are_redacted() {
    let set = generate_set(&SeededEntropy::new(2));
    assert_eq!(format!("{:?}", set.codes[0]), "RecoveryCode(redacted)");
    assert_eq!(format!("{:?}", RecoveryHash::from_bytes([7; 32])), "RecoveryHash(redacted)");
    let shown = format!("{set:?}");
    for code in &set.codes {
        assert!(!shown.contains(code.to_text().as_str()), "{shown}");
    }
}
