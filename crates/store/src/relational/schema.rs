//! The migrations, which are part of the program. A database knows how many it has seen; the rest
//! is done when it is opened. A migration that was ever released is never changed.

use crate::StoreError;

/// All migrations, oldest first.
pub(crate) const MIGRATIONS: &[&str] =
    &[include_str!("../../migrations/0001_turns_and_conversations.sql")];

/// What is to be done to a database that has seen so many: the SQL, and the number after it.
pub(crate) fn migrations_after(
    seen: i64,
) -> Result<impl Iterator<Item = (&'static str, i64)>, StoreError> {
    let known = MIGRATIONS.len() as i64;
    if !(0..=known).contains(&seen) {
        return Err(StoreError::Refused(format!(
            "its schema is version {seen}, and this program knows versions up to {known}; a newer \
             version of Latimer was here"
        )));
    }
    let numbered = MIGRATIONS.iter().zip(1_i64..);
    Ok(numbered.map(|(sql, number)| (*sql, number)).filter(move |(_, number)| *number > seen))
}
