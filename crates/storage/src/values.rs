//! Between the types of the domain and those of a database.

use myelin_ambient::Timestamp;
use myelin_uia::Stage;
use ruma::OwnedUserId;

use crate::Error;

/// Milliseconds since the epoch. The end of time is as far as a column goes.
pub(crate) fn millis(at: Timestamp) -> i64 {
    signed(at.as_millis())
}

/// A count as a column holds it.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count as it was written.
pub(crate) fn unsigned<T: TryFrom<i64>>(value: i64, what: &'static str) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Corrupt { what })
}

/// A time as it was written.
pub(crate) fn timestamp(millis: i64) -> Result<Timestamp, Error> {
    unsigned(millis, "time").map(Timestamp::from_millis)
}

/// A time that may be missing.
pub(crate) fn optional_timestamp(millis: Option<i64>) -> Result<Option<Timestamp>, Error> {
    millis.map(timestamp).transpose()
}

/// A user as written.
pub(crate) fn user(text: String) -> Result<OwnedUserId, Error> {
    text.try_into().map_err(|_| Error::Corrupt { what: "user" })
}

/// The bytes of a column with a fixed length.
pub(crate) fn array<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], Error> {
    bytes.try_into().map_err(|_| Error::Corrupt { what })
}

/// The names of stages, with spaces between.
pub(crate) fn join_stages(stages: &[Stage]) -> String {
    stages.iter().map(|stage| stage.as_str()).collect::<Vec<_>>().join(" ")
}

/// The stages that [`join_stages`] wrote.
pub(crate) fn split_stages(text: &str) -> Result<Vec<Stage>, Error> {
    let stage = |name| Stage::parse(name).ok_or(Error::Corrupt { what: "stage" });
    text.split_ascii_whitespace().map(stage).collect()
}
