//! A receipt: what a run did, what it used, how it ended. The JSON of contract `abp/v0.1`, and what
//! Latimer adds to it: the hash of the receipt before, and a signature.

use super::capability::CapabilityManifest;
use super::contract::{Json, objects, words};
use super::event::AgentEvent;
use super::time::Time;
use crate::responses::{Status, Usage};

/// The version of the contract that is spoken.
pub const CONTRACT_VERSION: &str = "abp/v0.1";

words! {
    /// How a run ended.
    Outcome {
        /// All of it was done.
        Complete = "complete",
        /// Some of it was.
        Partial = "partial",
        /// It failed.
        Failed = "failed",
    }

    /// Whether the backend was spoken to in its own dialect.
    ExecutionMode {
        /// Translated.
        Mapped = "mapped",
        /// As it came.
        Passthrough = "passthrough",
    }
}

impl From<Status> for Outcome {
    fn from(status: Status) -> Outcome {
        match status {
            Status::Completed => Outcome::Complete,
            Status::Incomplete => Outcome::Partial,
            Status::InProgress | Status::Failed => Outcome::Failed,
        }
    }
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Status {
        match outcome {
            Outcome::Complete => Status::Completed,
            Outcome::Partial => Status::Incomplete,
            Outcome::Failed => Status::Failed,
        }
    }
}

objects! {
    /// What a run did.
    Receipt {
        /// Which run, and when.
        meta(required): RunMetadata,
        /// Who did it.
        backend: BackendIdentity,
        /// What it is able to do.
        capabilities: CapabilityManifest,
        /// Whether it was spoken to in its own dialect.
        mode: ExecutionMode,
        /// What was used, in the backend's own words.
        usage_raw: Json,
        /// What was used.
        usage: UsageNormalized,
        /// What happened, in order.
        trace: Vec<AgentEvent>,
        /// What was made.
        artifacts: Vec<ArtifactRef>,
        /// What was checked of it.
        verification: VerificationReport,
        /// How it ended.
        outcome(required): Outcome,
        /// SHA-256 of the receipt, as lower-case hex.
        receipt_sha256: Option<String>,
    }

    /// Which run, and when.
    RunMetadata {
        /// A UUID.
        run_id(required): String,
        /// The id of the work order.
        work_order_id: String,
        /// The contract that was spoken.
        contract_version: String,
        /// When it began.
        started_at: Time,
        /// When it ended.
        finished_at: Time,
        /// How long it took, in milliseconds.
        duration_ms: u64,
    }

    /// Who did the work.
    BackendIdentity {
        /// A name.
        id: String,
        /// Its version.
        backend_version: Option<String>,
        /// The version of what connects it.
        adapter_version: Option<String>,
    }

    /// What was used. Tokens are counts of tokens; what is not known is not there.
    UsageNormalized {
        /// Read by the model.
        input_tokens: Option<u64>,
        /// Made by the model.
        output_tokens: Option<u64>,
        /// Of the first, taken from a cache.
        cache_read_tokens: Option<u64>,
        /// Of the first, written to a cache.
        cache_write_tokens: Option<u64>,
        /// What the service counts requests in.
        request_units: Option<u64>,
        /// In US dollars.
        estimated_cost_usd: Option<f64>,
    }

    /// What was made.
    ArtifactRef {
        /// `patch`, `log`, ...
        kind: String,
        /// Where it is.
        path: String,
    }

    /// What was checked of the work.
    VerificationReport {
        /// The changes, as a diff.
        git_diff: Option<String>,
        /// Which files changed.
        git_status: Option<String>,
        /// Whether the checks around the run passed.
        harness_ok: bool,
    }
}

impl From<Usage> for UsageNormalized {
    fn from(usage: Usage) -> Self {
        UsageNormalized {
            input_tokens: Some(usage.input),
            output_tokens: Some(usage.output),
            cache_read_tokens: Some(usage.cached),
            cache_write_tokens: Some(usage.cache_write),
            ..UsageNormalized::default()
        }
    }
}

impl UsageNormalized {
    /// In the hub's terms; `None` where no tokens are named.
    pub fn usage(&self) -> Option<Usage> {
        let (input, output) = (self.input_tokens, self.output_tokens);
        (input.is_some() || output.is_some()).then(|| {
            let (input, output) = (input.unwrap_or_default(), output.unwrap_or_default());
            Usage {
                input,
                output,
                cached: self.cache_read_tokens.unwrap_or_default(),
                cache_write: self.cache_write_tokens.unwrap_or_default(),
                reasoning: 0,
                total: input.saturating_add(output),
            }
        })
    }
}
