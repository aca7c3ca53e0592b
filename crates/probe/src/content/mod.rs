//! What the bodies of an exchange say, found out for whoever shows it. In: bodies as they were
//! recorded. Out: what a request brings along ([`input`]), what was answered ([`answer`], with
//! [`tool_call`]s, of a [`stream`] or whole), what passed on a WebSocket beside it ([`socket`]), and the keys
//! that were used ([`structure`]). [`parts`] is what
//! several views of one exchange share. Nothing here writes a report.

pub(crate) mod answer;
pub(crate) mod input;
pub(crate) mod parts;
pub(crate) mod python;
pub(crate) mod socket;
pub(crate) mod stream;
pub(crate) mod structure;
pub(crate) mod tally;
pub(crate) mod tool_call;
