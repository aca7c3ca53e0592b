//! A recording in the place of a model: [`cassette`] has the answers, [`matching`] says which recorded
//! request an asked one is.

pub mod cassette;
pub mod matching;
