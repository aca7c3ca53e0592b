//! What a backend can do, and what a work order needs: names, levels, and which level is enough.
//! Requirements are held against a manifest before anything runs.

use std::collections::BTreeMap;

use super::contract::{Field, objects, words};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::path::Path;

/// What a backend says of each capability, by its name; what it does not name it does not have.
pub type CapabilityManifest = BTreeMap<String, SupportLevel>;

/// How well a capability is supported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SupportLevel {
    /// By the backend itself.
    Native,
    /// By something that stands in for it.
    Emulated,
    /// Not at all.
    #[default]
    Unsupported,
    /// Natively, but not always.
    Restricted {
        /// When not.
        reason: String,
    },
}

impl SupportLevel {
    /// Whether this is as much as was asked for.
    pub fn satisfies(&self, min_support: MinSupport) -> bool {
        match min_support {
            MinSupport::Any => true,
            MinSupport::Native => *self == SupportLevel::Native,
            MinSupport::Emulated => *self != SupportLevel::Unsupported,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            SupportLevel::Native => "native",
            SupportLevel::Emulated => "emulated",
            SupportLevel::Unsupported => "unsupported",
            SupportLevel::Restricted { .. } => "restricted",
        }
    }
}

impl Field for SupportLevel {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        if let Some(reason) = value.member("restricted").and_then(|why| why.member_text("reason")) {
            return Ok(SupportLevel::Restricted { reason: reason.into_owned() });
        }
        let plain = [SupportLevel::Native, SupportLevel::Emulated, SupportLevel::Unsupported];
        let found = plain.into_iter().find(|level| value.inner() == level.name());
        found.ok_or_else(|| {
            let message = format!(
                "Invalid value for `{path}`: expected `native`, `emulated`, `unsupported` or \
                 {{\"restricted\": {{\"reason\": \"...\"}}}}."
            );
            ApiError::invalid(path.to_string(), "invalid_value", message)
        })
    }

    fn print(&self, out: &mut String) {
        match self {
            SupportLevel::Restricted { reason } => Object::new(out)
                .with("restricted", |out| Object::new(out).text("reason", reason).end())
                .end(),
            plain => plain.name().to_owned().print(out),
        }
    }
}

words! {
    /// How much support is enough.
    MinSupport {
        /// The backend itself has to do it.
        Native = "native",
        /// Something may stand in for it.
        Emulated = "emulated",
        /// None is needed.
        Any = "any",
    }

    /// What a backend may be able to do.
    #[allow(missing_docs, reason = "the names say it, and the contract says no more")]
    Capability {
        Streaming = "streaming",
        ToolRead = "tool_read",
        ToolWrite = "tool_write",
        ToolEdit = "tool_edit",
        ToolBash = "tool_bash",
        ToolGlob = "tool_glob",
        ToolGrep = "tool_grep",
        ToolWebSearch = "tool_web_search",
        ToolWebFetch = "tool_web_fetch",
        ToolAskUser = "tool_ask_user",
        HooksPreToolUse = "hooks_pre_tool_use",
        HooksPostToolUse = "hooks_post_tool_use",
        SessionResume = "session_resume",
        SessionFork = "session_fork",
        Checkpointing = "checkpointing",
        StructuredOutputJsonSchema = "structured_output_json_schema",
        McpClient = "mcp_client",
        McpServer = "mcp_server",
        ToolUse = "tool_use",
        ExtendedThinking = "extended_thinking",
        ImageInput = "image_input",
        PdfInput = "pdf_input",
        CodeExecution = "code_execution",
        Logprobs = "logprobs",
        SeedDeterminism = "seed_determinism",
        StopSequences = "stop_sequences",
        FunctionCalling = "function_calling",
        Vision = "vision",
        Audio = "audio",
        JsonMode = "json_mode",
        SystemMessage = "system_message",
        Temperature = "temperature",
        TopP = "top_p",
        TopK = "top_k",
        MaxTokens = "max_tokens",
        FrequencyPenalty = "frequency_penalty",
        PresencePenalty = "presence_penalty",
        CacheControl = "cache_control",
        BatchMode = "batch_mode",
        Embeddings = "embeddings",
        ImageGeneration = "image_generation",
    }
}

objects! {
    /// What a work order cannot do without.
    CapabilityRequirements {
        /// All of these.
        required: Vec<CapabilityRequirement>,
    }

    /// One capability and how well it has to be supported.
    CapabilityRequirement {
        /// What is needed.
        capability(required): Capability,
        /// How much of it is enough.
        min_support: MinSupport,
    }
}

impl CapabilityRequirements {
    /// Holds the requirements against what a backend has. What is only emulated is returned, so that
    /// the receipt can say so.
    ///
    /// # Errors
    /// A 400, `capability_unsupported`, that names the first requirement which is not met.
    pub fn check(&self, manifest: &CapabilityManifest) -> Result<Vec<Capability>, ApiError> {
        let mut emulated = Vec::new();
        for (index, requirement) in self.required.iter().enumerate() {
            let CapabilityRequirement { capability, min_support, .. } = requirement;
            let level = manifest.get(capability.name()).cloned().unwrap_or_default();
            if !level.satisfies(*min_support) {
                let message = format!(
                    "The work order needs `{}` at least {}, and here it is {}.",
                    capability.name(),
                    min_support.name(),
                    level.name(),
                );
                let place = format!("requirements.required[{index}]");
                return Err(ApiError::invalid(place, "capability_unsupported", message));
            }
            if level == SupportLevel::Emulated {
                emulated.push(*capability);
            }
        }
        Ok(emulated)
    }
}
