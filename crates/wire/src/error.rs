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
    pub fn invalid(param: &str, code: &'static str, message: impl Into<String>) -> Self {
        ApiError {
            status: 400,
            kind: Cow::Borrowed("invalid_request_error"),
            code: Some(Cow::Borrowed(code)),
            message: message.into(),
            param: (!param.is_empty()).then(|| param.to_owned()),
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

impl From<Malformed> for ApiError {
    fn from(error: Malformed) -> Self {
        ApiError::invalid("", "invalid_json", format!("The body is not valid JSON: {error}."))
    }
}
