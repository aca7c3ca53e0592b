//! The model backend, as it is written and ready to be asked. In: an address or a command, a profile
//! by its name. Out: a [`Target`], or what is wrong with one of them.

use std::collections::BTreeMap;

use latimer_probe::redact;
use latimer_wire::backplane::PolicyProfile;
use latimer_wire::chat::Profile;
use serde::Deserialize;

use super::ConfigError;
use crate::backplane::Policy;
use crate::upstream::{command_words, host};

/// A model backend as it is written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Base address, usually ending in `/v1`; or `stdio:` and the command of an agent.
    pub url: Option<String>,
    /// What it speaks. Default `chat`, of a command `backplane`.
    pub dialect: Option<Dialect>,
    /// The environment variable that holds its key. Without one the caller's own is passed on.
    pub api_key_env: Option<String>,
    /// The model to ask it for, whatever the client names.
    pub model: Option<String>,
    /// How many tokens its model takes, for requests that may be cut (`truncation`).
    pub context_tokens: Option<u64>,
    /// Whether a backend that speaks Responses keeps what is said. Default true; otherwise Latimer does,
    /// as for all others, and asks it for nothing but answers.
    pub remembers: Option<bool>,
    /// Which backend it is, of those whose ways are known. Default `generic`.
    pub profile: Option<String>,
    /// Entries of the profile that are different here.
    pub quirks: BTreeMap<String, String>,
    /// What an agent may do: the policy of the work orders it is given.
    pub policy: Policy,
}

/// What a backend speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// OpenAI Chat Completions, `POST {base}/chat/completions`.
    Chat,
    /// OpenAI Responses, `POST {base}/responses`: bytes go through untouched.
    Responses,
    /// Work orders and agent events (abp/v0.1): `POST {base}/run`, or a program.
    Backplane,
}

impl Dialect {
    /// Its name, as it is configured.
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Chat => "chat",
            Dialect::Responses => "responses",
            Dialect::Backplane => "backplane",
        }
    }
}

/// A backend, ready to be asked.
#[derive(Clone)]
pub struct Target {
    /// Base address without a slash at its end; of a command, a name for it.
    pub url: http::Uri,
    /// The words of the command that starts it; none where it is at its address.
    pub command: Vec<String>,
    /// What it speaks.
    pub dialect: Dialect,
    /// Its key. It is never printed.
    pub api_key: Option<String>,
    /// The model to ask it for.
    pub model: Option<String>,
    /// How many tokens its model takes.
    pub context_tokens: Option<u64>,
    /// Whether it keeps what is said.
    pub remembers: bool,
    /// What it takes.
    pub profile: Profile,
    /// What it may do, where it is an agent.
    pub policy: PolicyProfile,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("url", &self.url)
            .field("dialect", &self.dialect)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl UpstreamConfig {
    pub(super) fn resolve(
        self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Target>, ConfigError> {
        let Some(url) = self.url else { return Ok(None) };
        let api_key = match self.api_key_env {
            None => None,
            Some(name) => match env(&name).filter(|key| !key.trim().is_empty()) {
                Some(key) => Some(key.trim().to_owned()),
                None => return Err(ConfigError::NoKey { name }),
            },
        };
        let (url, command) = place(&url, self.dialect)?;
        let usual = if command.is_empty() { Dialect::Chat } else { Dialect::Backplane };
        let dialect = self.dialect.unwrap_or(usual);
        Ok(Some(Target {
            url,
            command,
            dialect,
            remembers: dialect == Dialect::Responses && self.remembers.unwrap_or(true),
            api_key,
            model: self.model,
            context_tokens: self.context_tokens,
            profile: profile(self.profile.as_deref(), &self.quirks)
                .map_err(ConfigError::Profile)?,
            policy: self.policy.into(),
        }))
    }
}

/// How a backend that is a command is named.
const COMMAND: &str = "stdio:";

/// The address of a backend, or a name for it and the words of its command.
fn place(url: &str, dialect: Option<Dialect>) -> Result<(http::Uri, Vec<String>), ConfigError> {
    let wrong =
        |reason: &str| ConfigError::Upstream { url: redact::url(url), reason: reason.into() };
    let Some(command) = url.strip_prefix(COMMAND) else {
        let usual = match dialect {
            Some(Dialect::Backplane) => "/backplane/v1",
            _ => "/v1",
        };
        return Ok((base_address(url, usual)?, Vec::new()));
    };
    if !matches!(dialect, None | Some(Dialect::Backplane)) {
        return Err(wrong("a command speaks the dialect `backplane`"));
    }
    let words = command_words(command);
    if words.first().is_none_or(String::is_empty) {
        return Err(wrong("it names no command"));
    }
    let url = format!("http://{}/", host(&words)).parse();
    Ok((url.map_err(|_| wrong("its program has no name"))?, words))
}

/// Checks an address.
///
/// # Errors
/// When it is none, or holds what must not be in it.
pub fn address(url: &str) -> Result<http::Uri, ConfigError> {
    let wrong = |reason: String| ConfigError::Upstream { url: redact::url(url), reason };
    let uri: http::Uri = url
        .trim_end_matches('/')
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https") => {}
        _ => return Err(wrong("it has to begin with http:// or https://".to_owned())),
    }
    if uri.host().is_none_or(str::is_empty) {
        return Err(wrong("it names no host".to_owned()));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(wrong("it must not hold a user; name the key with api_key_env".to_owned()));
    }
    if uri.query().is_some() {
        return Err(wrong("it must not have a query".to_owned()));
    }
    Ok(uri)
}

/// Checks a base address. One without a path gets the one that nearly every such backend uses.
fn base_address(url: &str, usual: &'static str) -> Result<http::Uri, ConfigError> {
    let uri = address(url)?;
    if !matches!(uri.path(), "" | "/") {
        return Ok(uri);
    }
    let wrong = |reason: String| ConfigError::Upstream { url: redact::url(url), reason };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(usual));
    http::Uri::from_parts(parts).map_err(|error| wrong(error.to_string()))
}

/// The profile of a name, with what is different here.
fn profile(name: Option<&str>, quirks: &BTreeMap<String, String>) -> Result<Profile, String> {
    let mut profile = name.map_or(Ok(Profile::default()), Profile::named)?;
    for (entry, value) in quirks {
        profile.set(entry, value)?;
    }
    Ok(profile)
}
