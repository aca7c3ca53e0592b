//! Why a configuration cannot be used. Every text says where it is wrong and what to write instead.

use std::net::SocketAddr;
use std::path::PathBuf;

use latimer_probe::redact::BadPattern;

/// A configuration that cannot be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not right; the text names key, line and column.
    #[error("the configuration {path} is not valid:\n{error}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// The backend's address is not one.
    #[error(
        "the upstream `{url}` is not an address: {reason}. Write it as in \
         `http://127.0.0.1:8080/v1` or `https://api.example.com/v1`; a command as in \
         `stdio:python3 agent.py`"
    )]
    Upstream {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The profile is not known, or has no such entry.
    #[error("{0}")]
    Profile(String),
    /// A prompt that no request could be made of.
    #[error("{0}")]
    Prompt(String),
    /// A bound or a waiting time that would let nothing through.
    #[error("`{name}` is 0, with which nothing can be served")]
    Zero {
        /// The key.
        name: &'static str,
    },
    /// What is to be taken out of the recording cannot be looked for.
    #[error("`recorder.secrets`: {0}")]
    Secrets(#[from] BadPattern),
    /// The key's variable is not set.
    #[error("the environment variable {name}, named as a key, is not set or is empty")]
    NoKey {
        /// The variable.
        name: String,
    },
    /// The variable of the key that seals holds no such key.
    #[error(
        "the environment variable {name} has to hold 32 random bytes in base64, as made by \
         `head -c 32 /dev/urandom | base64`"
    )]
    NoSealKey {
        /// The variable.
        name: String,
    },
    /// Other machines could use the gateway and its key.
    #[error(
        "{listen} can be reached by other machines, and nothing protects it: Latimer has no access \
         keys yet. Listen on 127.0.0.1, or say `--open` (`open = true`) if something else guards it"
    )]
    Exposed {
        /// The address.
        listen: SocketAddr,
    },
}
