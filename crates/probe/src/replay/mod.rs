//! A recording in the place of a model: [`cassette`] has the answers, [`matching`] says which recorded
//! request an asked one is, `again` gives an answer in the form in which another request asks for it.

mod again;
pub mod cassette;
pub mod matching;
