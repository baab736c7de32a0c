//! How many wrong passwords one address may try, in front of whatever limits
//! the homeserver has.
//!
//! Each check takes from an allowance that refills steadily, before its result
//! is known, so that many at once cannot pass as one; a right password gives it
//! back. It is kept in memory and per process: it saves work and slows
//! guessing, and nothing depends on it.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use myelin_ambient::Timestamp;
use myelin_homeserver::Refusal;

use crate::texts;

/// Addresses that are remembered at most.
const ADDRESSES: usize = 65_536;

/// The allowances of all addresses.
#[derive(Debug)]
pub(crate) struct WrongPasswords {
    /// The time in which one more is allowed.
    interval: Duration,
    /// As many as may be tried at once.
    burst: u32,
    /// When an address will have its whole allowance again.
    whole: Mutex<HashMap<IpAddr, Timestamp>>,
}

impl WrongPasswords {
    /// Allows `per_minute`, at once or spread.
    pub(crate) fn new(per_minute: u32) -> Self {
        let burst = per_minute.max(1);
        Self { interval: Duration::from_mins(1) / burst, burst, whole: Mutex::default() }
    }

    /// Takes one from the allowance of an address, if there is any left.
    pub(crate) fn take(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        let Some(network) = address.map(network) else { return Ok(()) };
        let mut addresses = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if addresses.len() >= ADDRESSES {
            addresses.retain(|_, whole| *whole > now);
        }
        if addresses.len() >= ADDRESSES {
            // Whoever has so many addresses is not slowed down by any of this.
            addresses.clear();
        }
        let whole = addresses.entry(network).or_insert(now);
        let most = self.interval * self.burst;
        // Further ahead than it can be: the clock was set back since.
        let ahead = Some(whole.saturating_since(now)).filter(|ahead| *ahead <= most);
        let ahead = ahead.unwrap_or_default();
        let free = most.saturating_sub(ahead);
        if free < self.interval {
            return Err(Refusal::wait(
                self.interval.saturating_sub(free),
                texts::WAIT_FOR_PASSWORD,
            ));
        }
        *whole = now + ahead + self.interval;
        Ok(())
    }

    /// Gives one back: the password was right.
    pub(crate) fn give_back(&self, address: Option<IpAddr>, now: Timestamp) {
        let Some(network) = address.map(network) else { return };
        let mut addresses = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = addresses.get_mut(&network) {
            let ahead = whole.saturating_since(now).saturating_sub(self.interval);
            *whole = now + ahead;
            if ahead.is_zero() {
                // Whole again: a clock that is set back finds nothing here.
                addresses.remove(&network);
            }
        }
    }
}

/// An IPv6 /64 is one household's, and counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn taken(limit: &WrongPasswords, address: IpAddr, now: Timestamp) -> usize {
        (0..1_000).take_while(|_| limit.take(Some(address), now).is_ok()).count()
    }

    #[test]
    fn an_address_has_its_allowance_and_no_more() {
        let limit = WrongPasswords::new(60);
        assert_eq!(taken(&limit, address("192.0.2.1"), NOW), 60);
        let refusal = limit.take(Some(address("192.0.2.1")), NOW).unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.retry_after), (429, Some(SECOND)));
        assert_eq!(taken(&limit, address("192.0.2.2"), NOW), 60);
    }

    #[test]
    fn the_allowance_refills_steadily() {
        let limit = WrongPasswords::new(60);
        taken(&limit, address("192.0.2.1"), NOW);
        assert_eq!(taken(&limit, address("192.0.2.1"), NOW + SECOND * 5), 5);
        assert_eq!(taken(&limit, address("192.0.2.1"), NOW + SECOND * 500), 60);
    }

    #[test]
    fn a_right_password_costs_nothing() {
        let limit = WrongPasswords::new(2);
        for _ in 0..100 {
            limit.take(Some(address("192.0.2.1")), NOW).unwrap();
            limit.give_back(Some(address("192.0.2.1")), NOW);
        }
        // What was never taken is not given back.
        limit.give_back(Some(address("192.0.2.1")), NOW);
        assert_eq!(taken(&limit, address("192.0.2.1"), NOW), 2);
    }

    #[test]
    fn one_network_of_ipv6_counts_as_one_address() {
        let limit = WrongPasswords::new(3);
        taken(&limit, address("2001:db8:0:1::1"), NOW);
        assert_eq!(taken(&limit, address("2001:db8:0:1::2"), NOW), 0);
        assert_eq!(taken(&limit, address("2001:db8:0:2::1"), NOW), 3);
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out() {
        let limit = WrongPasswords::new(60);
        taken(&limit, address("192.0.2.1"), NOW + Duration::from_hours(24 * 365));
        assert_eq!(taken(&limit, address("192.0.2.1"), NOW), 60);
    }

    #[test]
    fn the_memory_is_bounded() {
        let limit = WrongPasswords::new(1);
        for number in 0..200_000_u32 {
            limit.take(Some(std::net::Ipv4Addr::from_bits(number).into()), NOW).unwrap();
        }
        assert!(limit.whole.lock().unwrap().len() <= ADDRESSES);
    }
}
