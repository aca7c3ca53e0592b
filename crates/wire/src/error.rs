//! An answer that is an error, in OpenAI's shape: `{"error":{"message","type","param","code"}}`.
//! The SDKs map by status alone; type and code are for the reader.

use std::borrow::Cow;

use crate::json::{Malformed, Object};

/// A request that is answered with an error instead of a response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {message}")]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// The family: `invalid_request_error`, `server_error`, ...
    pub kind: Cow<'static, str>,
    /// The exact reason, for programs.
    pub code: Option<Cow<'static, str>>,
    /// What is wrong and what to do about it.
    pub message: String,
    /// The parameter at fault, as a path: `input[3].call_id`.
    pub param: Option<String>,
}

impl ApiError {
    /// The caller's request is wrong at `param`.
    pub fn invalid(
        param: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let param = Some(param.into()).filter(|param| !param.is_empty());
        ApiError {
            status: 400,
            kind: Cow::Borrowed("invalid_request_error"),
            code: Some(Cow::Borrowed(code)),
            message: message.into(),
            param,
        }
    }

    /// Something on the way to the model, or the model, is at fault.
    pub fn server(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status,
            kind: Cow::Borrowed("server_error"),
            code: Some(Cow::Borrowed(code)),
            message: message.into(),
            param: None,
        }
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let mut out = String::new();
        Object::new(&mut out)
            .with("error", |out| {
                let error =
                    Object::new(out).text("message", &self.message).text("type", &self.kind);
                let error = match &self.param {
                    Some(param) => error.text("param", param),
                    None => error.null("param"),
                };
                match &self.code {
                    Some(code) => error.text("code", code).end(),
                    None => error.null("code").end(),
                }
            })
            .end();
        out
    }
}

/// What backends say in their own words, in lower case, and the code that clients act on: Codex
/// compacts its history on `context_length_exceeded`, and otherwise only tries again.
///
/// Sources: OpenAI, DeepSeek and vLLM (github.com/vllm-project/vllm/issues/20409), vLLM
/// (…/issues/12165), llama.cpp (`exceed_context_size_error`), LM Studio
/// (github.com/lmstudio-ai/lmstudio-bug-tracker/issues/546).
const KNOWN_WORDS: &[(&str, &str)] = &[
    ("maximum context length", "context_length_exceeded"),
    ("context length exceeded", "context_length_exceeded"),
    ("is too long to fit into the model", "context_length_exceeded"),
    ("exceeds the available context size", "context_length_exceeded"),
    ("which is not enough. try to load the model with a larger context", "context_length_exceeded"),
    ("prompt is too long", "context_length_exceeded"),
];

/// The code that a backend's message stands for, where its words are known.
pub fn code_of(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    KNOWN_WORDS.iter().find(|(words, _)| message.contains(words)).map(|(_, code)| *code)
}

impl From<Malformed> for ApiError {
    fn from(error: Malformed) -> Self {
        ApiError::invalid("", "invalid_json", format!("The body is not valid JSON: {error}."))
    }
}

#[cfg(test)]
mod tests {
    use super::code_of;

    #[test]
    fn a_context_that_is_too_long_has_one_code() {
        let said = [
            "This model's maximum context length is 8192 tokens. However, you requested 9000.",
            "the request exceeds the available context size, try increasing it",
            "The prompt (total length 25938) is too long to fit into the model (context length 4096).",
        ];
        assert!(said.iter().all(|message| code_of(message) == Some("context_length_exceeded")));
        assert_eq!(code_of("The context is fine."), None);
    }
}
