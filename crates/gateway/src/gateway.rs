//! What every exchange of one gateway shares.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use http::Response;
use latimer_wire::backplane::PolicyProfile;
use latimer_wire::chat::Profile;
use latimer_wire::responses::Flavour;

use crate::answer::Answer;
use crate::backplane::Runs;
use crate::capture::Recorder;
use crate::compaction::{self, Seal};
use crate::config::{ChatClients, Dialect, Settings};
use crate::flavour;
use crate::secret::Secret;
use crate::state::State;
use crate::upstream::Upstream;

/// What every exchange needs.
pub(crate) struct Gateway {
    pub settings: Settings,
    pub upstream: Arc<Upstream>,
    pub recorder: Option<Recorder>,
    /// What is kept between requests; none where nothing is, or the backend keeps it itself.
    pub state: Option<Arc<State>>,
    /// The receipts of runs.
    pub runs: Arc<Runs>,
    /// What seals what clients keep for us.
    pub seal: Seal,
    /// The operator's key, which a backend may say back.
    pub secret: Secret,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Gateway {
    /// What the backend speaks. The embedded mock speaks Chat, so that it is translated like any.
    pub fn dialect(&self) -> Dialect {
        self.settings.upstream.as_ref().map_or(Dialect::Chat, |target| target.dialect)
    }

    /// Whether somebody keeps what was said: we, or the backend.
    pub fn has_memory(&self) -> bool {
        self.state.is_some() || self.backend_remembers()
    }

    /// Whether the backend keeps what was said, so that what clients ask about it is for the backend.
    pub fn backend_remembers(&self) -> bool {
        self.settings.upstream.as_ref().is_some_and(|target| target.remembers)
    }

    /// An answer in a flavour.
    pub fn told(&self, flavour: Flavour, answer: Response<Answer>) -> Response<Answer> {
        flavour::told(flavour, answer, self.settings.limits.stream_bytes)
    }

    /// The model to ask the backend for, whatever the client names.
    pub fn model(&self) -> Option<&str> {
        self.settings.upstream.as_ref()?.model.as_deref()
    }

    /// How many tokens the backend's model takes, where that is known.
    pub fn context_tokens(&self) -> Option<u64> {
        self.settings.upstream.as_ref()?.context_tokens
    }

    /// What a backend is asked for when a conversation is to be summed up.
    pub fn compaction_prompt(&self) -> &str {
        self.settings.state.compaction_prompt.as_deref().unwrap_or(compaction::PROMPT)
    }

    /// The operator's key for the backend.
    pub fn key(&self) -> Option<&str> {
        self.settings.upstream.as_ref()?.api_key.as_deref()
    }

    /// What Chat clients are told, and how.
    pub fn chat_clients(&self) -> &ChatClients {
        &self.settings.chat_clients
    }

    /// What an agent may do, by the operator's word.
    pub fn policy(&self) -> PolicyProfile {
        self.settings.upstream.as_ref().map(|target| target.policy.clone()).unwrap_or_default()
    }

    /// What the backend takes.
    pub fn profile(&self) -> &Profile {
        static CAREFUL: LazyLock<Profile> = LazyLock::new(Profile::default);
        self.settings.upstream.as_ref().map_or(&CAREFUL, |target| &target.profile)
    }
}
