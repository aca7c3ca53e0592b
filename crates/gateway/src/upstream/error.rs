//! Why a backend did not answer, and what a client is told of it.

use latimer_wire::error::ApiError;

/// Why a backend did not answer. The text names the hop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// No connection came about.
    #[error("cannot reach the backend {host}: {reason}")]
    Unreachable {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// No connection within the time allowed.
    #[error("cannot reach the backend {host}: no connection within {after_ms} ms")]
    ConnectTimeout {
        /// The backend.
        host: String,
        /// How long it was waited.
        after_ms: u64,
    },
    /// TLS failed.
    #[error("cannot agree on TLS with the backend {host}: {reason}")]
    Tls {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// The connection ended before the answer began.
    #[error("the backend {host} closed the connection before it answered: {reason}")]
    Closed {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// It gave up this request alone, before the answer began.
    #[error("the backend {host} broke off the request before it answered: {reason}")]
    Reset {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// It says that it did not begin with this request.
    #[error("the backend {host} did not take the request: {reason}")]
    Untaken {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// What came is no HTTP that can be read.
    #[error("the backend {host} sent an answer that cannot be read: {reason}")]
    Invalid {
        /// The backend.
        host: String,
        /// Why.
        reason: String,
    },
    /// No answer began within the time allowed.
    #[error("the backend {host} did not begin to answer within {after_ms} ms")]
    FirstByteTimeout {
        /// The backend.
        host: String,
        /// How long it was waited.
        after_ms: u64,
    },
}

impl From<UpstreamError> for ApiError {
    fn from(error: UpstreamError) -> Self {
        let (status, code) = match error {
            UpstreamError::Unreachable { .. } => (502, "upstream_unreachable"),
            UpstreamError::ConnectTimeout { .. } => (504, "upstream_connect_timeout"),
            UpstreamError::Tls { .. } => (502, "upstream_tls"),
            UpstreamError::Closed { .. } | UpstreamError::Reset { .. } => (502, "upstream_closed"),
            UpstreamError::Untaken { .. } => (503, "upstream_untaken"),
            UpstreamError::Invalid { .. } => (502, "upstream_invalid"),
            UpstreamError::FirstByteTimeout { .. } => (504, "upstream_timeout"),
        };
        ApiError::server(status, code, format!("Latimer: {error}."))
    }
}

/// An error with its cause, which alone says what happened.
pub(crate) fn words(error: &hyper::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
