//! What a Chat Completions client wants to be told, and how, where the hub has more than one form.

/// How reasoning reaches the client. Chat has no form of its own for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// In `reasoning_content`, as DeepSeek began it.
    #[default]
    Content,
    /// In the text, between `<think>` and `</think>`.
    Tagged,
    /// Not at all.
    Off,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shape {
    /// How reasoning is told.
    pub reasoning: Reasoning,
    /// The client has offered custom tools and takes `custom` calls; else a freeform call is one of
    /// a function with the text as its `input`.
    pub custom_calls: bool,
}
