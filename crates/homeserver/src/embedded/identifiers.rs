//! Names: of users, as they are typed and as they are chosen, and of devices.

use myelin_ambient::Entropy;
use ruma::{
    OwnedDeviceId, ServerName,
    api::{client::uiaa::UserIdentifier, error::ErrorKind},
};

use crate::Refusal;

/// A local part that nobody can register: for reads that may find nothing.
pub(super) const NOBODY: &str = "NOBODY";

/// The longest user ID, in bytes.
///
/// [Appendices, User Identifiers](https://spec.matrix.org/v1.16/appendices/#user-identifiers)
const USER_ID_LIMIT: usize = 255;

/// The local part that an identifier means, if it means a user of this server.
///
/// Local part or full ID, in any case: there are no two users here whose names
/// differ in case only, since upper case cannot be registered.
pub(super) fn localpart(identifier: &UserIdentifier, server_name: &ServerName) -> Option<String> {
    let UserIdentifier::Matrix(identifier) = identifier else { return None };
    let localpart = match identifier.user.strip_prefix('@') {
        None => &identifier.user,
        Some(id) => {
            let (localpart, server) = id.split_once(':')?;
            server.eq_ignore_ascii_case(server_name.as_str()).then_some(localpart)?
        }
    };
    let localpart = localpart.to_ascii_lowercase();
    is_username(&localpart, server_name).then_some(localpart)
}

/// Refuses a username that cannot be registered.
///
/// # Errors
///
/// `400 M_INVALID_USERNAME`
pub(super) fn check_username(username: &str, server_name: &ServerName) -> Result<(), Refusal> {
    if is_username(username, server_name) {
        return Ok(());
    }
    let text = "A username is made of the letters a to z, digits, and . _ = - / + and, with the \
                server's name, up to 255 characters long.";
    Err(Refusal::bad_request(&ErrorKind::InvalidUsername, text))
}

fn is_username(localpart: &str, server_name: &ServerName) -> bool {
    let is_allowed =
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+');
    let id_length = "@:".len() + localpart.len() + server_name.as_str().len();
    !localpart.is_empty() && localpart.bytes().all(is_allowed) && id_length <= USER_ID_LIMIT
}

/// A username for someone who did not choose one: 16 random letters.
pub(super) fn random_username(entropy: &dyn Entropy) -> String {
    letters(entropy, b'a', 16)
}

/// The ID of a new device: ten random letters.
pub(super) fn random_device_id(entropy: &dyn Entropy) -> OwnedDeviceId {
    letters(entropy, b'A', 10).into()
}

fn letters(entropy: &dyn Entropy, first: u8, count: usize) -> String {
    let mut text = String::with_capacity(count);
    while text.len() < count {
        let [byte] = entropy.bytes::<1>();
        // Only whole alphabets fit into the range, so that every letter is as
        // likely as any other.
        if byte < 26 * 9 {
            text.push(char::from(first + byte % 26));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use myelin_ambient::SeededEntropy;
    use ruma::server_name;
    use serde_json::{Value, from_value, json};

    use super::*;

    fn meant(identifier: Value) -> Option<String> {
        localpart(&from_value(identifier).unwrap(), server_name!("example.org:8448"))
    }

    #[test]
    fn every_way_to_write_a_user_of_this_server_means_the_same() {
        for user in [
            "alice",
            "ALICE",
            "@alice:example.org:8448",
            "@Alice:example.org:8448",
            "@alice:EXAMPLE.org:8448",
        ] {
            let found = meant(json!({"type": "m.id.user", "user": user}));
            assert_eq!(found.as_deref(), Some("alice"), "{user}");
        }
    }

    #[test]
    fn everything_else_means_nobody() {
        for user in [
            "",
            "@",
            "@alice",
            "@alice:",
            "@alice:example.org",
            "@alice:example.com:8448",
            "@alice:example.org:8448 ",
            "alice:example.org:8448",
            " alice",
            "alice\0",
            "älice",
            "ali\u{212a}", // the Kelvin sign is a k to lenient lower-casing
            "nobody:",
        ] {
            assert_eq!(meant(json!({"type": "m.id.user", "user": user})), None, "{user}");
        }
        for identifier in [
            json!({"type": "m.id.thirdparty", "medium": "email", "address": "alice"}),
            json!({"type": "m.id.phone", "country": "GB", "phone": "alice"}),
            json!({"type": "org.example.id", "user": "alice"}),
        ] {
            assert_eq!(meant(identifier.clone()), None, "{identifier}");
        }
    }

    #[test]
    fn usernames_follow_the_grammar_of_the_specification() {
        let check = |name: &str| check_username(name, server_name!("example.org"));
        for name in ["a", "alice", "0", "a.b_c=d-e/f+g", "_x", &"a".repeat(242)] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in
            ["", "Alice", "al ice", "alice:x", "@alice", "ä", "a\0", "a%", "a,b", &"a".repeat(243)]
        {
            assert_eq!(check(name).unwrap_err().errcode, "M_INVALID_USERNAME", "{name}");
        }
        assert!(check(NOBODY).is_err());
    }

    #[test]
    fn a_random_username_can_be_registered() {
        let entropy = SeededEntropy::new(1);
        let (one, other) = (random_username(&entropy), random_username(&entropy));
        assert!(check_username(&one, server_name!("example.org")).is_ok());
        assert_ne!(one, other);
    }

    #[test]
    fn a_random_device_id_is_ten_upper_case_letters() {
        let id = random_device_id(&SeededEntropy::new(1));
        assert_eq!(id.as_str().len(), 10);
        assert!(id.as_str().bytes().all(|byte| byte.is_ascii_uppercase()));
    }
}
