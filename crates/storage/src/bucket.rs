//! Whose sessions count together.

use std::net::IpAddr;

use ruma::UserId;
use sha2::{Digest, Sha256};

/// The bucket of requests without an address.
const NOWHERE: &str = "-";

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 one,
/// because that is what one customer is given.
pub(crate) fn bucket(address: Option<IpAddr>) -> String {
    match address.map(|address| address.to_canonical()) {
        None => NOWHERE.to_owned(),
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// A number for the lock under which sessions of one owner are counted: the
/// user, or the bucket while nobody is known. Two owners with the same number
/// only wait for each other.
pub(crate) fn owner_lock(user: Option<&UserId>, bucket: &str) -> i64 {
    let digest = match user {
        Some(user) => Sha256::new().chain_update(b"user\0").chain_update(user.as_bytes()),
        None => Sha256::new().chain_update(b"bucket\0").chain_update(bucket),
    };
    let digest: [u8; 32] = digest.finalize().into();
    let first = digest.first_chunk().expect("invariant: a digest has 32 bytes");
    i64::from_be_bytes(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> String {
        bucket(Some(address.parse().unwrap()))
    }

    #[test]
    fn ipv6_counts_by_its_64() {
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn mapped_ipv4_is_the_same_address() {
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.8"), of("192.0.2.7"));
    }
}
