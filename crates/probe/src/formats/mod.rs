//! The files of other programs. Recordings are made of theirs by [`har`], [`dump`] and [`rollout`], which
//! share [`convert`]; [`form`] knows a file by its beginning. Tables of exchanges are written as [`csv`] and
//! Parquet, over one list of columns, and traces as [`otlp`]. `docs/formats.md` lists all of them and
//! what each keeps.

mod columns;
pub mod convert;
pub mod csv;
pub mod dump;
pub mod form;
pub mod har;
pub mod otlp;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod rollout;
