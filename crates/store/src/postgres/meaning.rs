//! What an error of PostgreSQL means to a caller, as a table of SQLSTATEs.

use std::error::Error as _;
use std::io::ErrorKind;

use tokio_postgres::Error;

use crate::StoreError;

type Meaning = fn(String) -> StoreError;

/// How a SQLSTATE begins, and what it means; the first that fits. Source: PostgreSQL's
/// documentation, appendix A.
const MEANINGS: &[(&str, Meaning)] = &[
    ("08", StoreError::Gone),    // connection
    ("57014", StoreError::Busy), // statement_timeout
    ("57P", StoreError::Gone),   // shutting down, starting up
    ("25006", StoreError::Gone), // read-only: a standby
    ("40", StoreError::Busy),    // rolled back: deadlock
    ("55P03", StoreError::Busy), // lock_timeout
    ("53100", |_| StoreError::Full("PostgreSQL's disk has no room")), // disk_full
    ("53", StoreError::Busy),    // too many connections
    ("58", StoreError::Gone),    // I/O of the server
    ("XX001", StoreError::Corrupt),
    ("XX002", StoreError::Corrupt),
];

/// What an error means. The text has no values of a row in it: PostgreSQL puts those in the detail,
/// which is left out.
pub(super) fn meaning(error: &Error) -> StoreError {
    if let Some(said) = error.as_db_error() {
        return meaning_of(said.code().code(), said.message());
    }
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = format!("PostgreSQL: {error}{cause}");
    // A certificate that is not trusted is bad data, to rustls.
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let of_the_line = cause.is_some_and(|cause| cause.kind() != ErrorKind::InvalidData);
    match error.is_closed() || of_the_line {
        true => StoreError::Gone(text),
        false => StoreError::Refused(text),
    }
}

fn meaning_of(state: &str, message: &str) -> StoreError {
    let row = MEANINGS.iter().find(|(begin, _)| state.starts_with(begin));
    let meaning = row.map_or(StoreError::Refused as Meaning, |(_, meaning)| *meaning);
    meaning(format!("PostgreSQL: {message} (SQLSTATE {state})"))
}

#[cfg(test)]
mod tests {
    use super::meaning_of;

    #[test]
    fn states_say_what_to_do() {
        let said = |state| meaning_of(state, "x").to_string();
        assert_eq!(said("53100"), "the store is full: PostgreSQL's disk has no room");
        for (state, begin) in [
            ("53300", "the store is busy"),
            ("40P01", "the store is busy"),
            ("57014", "the store is busy"),
            ("57P03", "the store is out of reach"),
            ("XX001", "the store is corrupt"),
            ("42P01", "the store refused"),
        ] {
            assert_eq!(said(state), format!("{begin}: PostgreSQL: x (SQLSTATE {state})"));
        }
    }
}
