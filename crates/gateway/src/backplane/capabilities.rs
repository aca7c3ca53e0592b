//! What a work order can ask of the backend: what the backend does itself, what Latimer does in its
//! place, what nobody does. A table over what the profiles say.

use latimer_wire::backplane::{CONTRACT_VERSION, Capability, CapabilityManifest, SupportLevel};
use latimer_wire::chat::{Effort, HostedTools, Profile};
use serde_json::{Value, json};

use crate::config::Dialect;
use crate::gateway::Gateway;

use SupportLevel::{Emulated, Native, Unsupported};

/// What is known of a backend.
struct Known<'g> {
    profile: &'g Profile,
    /// Whether Latimer remembers what came before.
    remembers: bool,
}

impl Known<'_> {
    fn takes(&self, parameter: &str) -> SupportLevel {
        if self.profile.parameters.contains(&parameter) { Native } else { Unsupported }
    }

    fn not_refused(&self, parameter: &str) -> SupportLevel {
        if self.profile.refused.contains(&parameter) { Unsupported } else { Native }
    }
}

type Level = fn(&Known<'_>) -> SupportLevel;

/// What a Chat backend can do.
const CHAT: &[(Capability, Level)] = &[
    (Capability::Streaming, |_| Native),
    (Capability::FunctionCalling, |_| Native),
    (Capability::ToolUse, |_| Native),
    (Capability::SystemMessage, |_| Native),
    (Capability::MaxTokens, |_| Native),
    (Capability::Temperature, |known| known.not_refused("temperature")),
    (Capability::TopP, |known| known.not_refused("top_p")),
    (Capability::StructuredOutputJsonSchema, |known| known.not_refused("response_format")),
    (Capability::JsonMode, |known| known.not_refused("response_format")),
    (Capability::Logprobs, |known| known.takes("logprobs")),
    (Capability::CacheControl, |known| known.takes("prompt_cache_key")),
    (Capability::ExtendedThinking, |known| match known.profile.effort {
        Effort::Unsaid => Unsupported,
        _ => Native,
    }),
    (Capability::ToolWebSearch, |known| match known.profile.hosted_tools {
        HostedTools::Native => Native,
        HostedTools::Drop | HostedTools::Refuse => Unsupported,
    }),
    (Capability::ImageInput, |_| of_model()),
    (Capability::Vision, |_| of_model()),
    (Capability::SessionResume, |known| if known.remembers { Emulated } else { Unsupported }),
];

/// What a Responses backend can do.
const RESPONSES: &[(Capability, Level)] = &[
    (Capability::Streaming, |_| Native),
    (Capability::FunctionCalling, |_| Native),
    (Capability::ToolUse, |_| Native),
    (Capability::SystemMessage, |_| Native),
    (Capability::MaxTokens, |_| Native),
    (Capability::Temperature, |_| Native),
    (Capability::TopP, |_| Native),
    (Capability::StructuredOutputJsonSchema, |_| Native),
    (Capability::JsonMode, |_| Native),
    (Capability::Logprobs, |_| Native),
    (Capability::CacheControl, |_| Native),
    (Capability::ExtendedThinking, |_| Native),
    (Capability::ToolWebSearch, |_| Native),
    (Capability::CodeExecution, |_| Native),
    (Capability::ImageGeneration, |_| Native),
    (Capability::ImageInput, |_| of_model()),
    (Capability::Vision, |_| of_model()),
    (Capability::PdfInput, |_| of_model()),
    (Capability::SessionResume, |_| Native),
];

/// What an agent can do is known when it says hello.
const AGENT: &[(Capability, Level)] = &[(Capability::Streaming, |_| Native)];

fn of_model() -> SupportLevel {
    SupportLevel::Restricted { reason: "as the model allows".to_owned() }
}

/// What a gateway's backend can do, with what Latimer does for it.
pub(crate) fn manifest(gateway: &Gateway) -> CapabilityManifest {
    let table = match gateway.dialect() {
        Dialect::Chat => CHAT,
        Dialect::Responses => RESPONSES,
        Dialect::Backplane => AGENT,
    };
    let known = Known { profile: gateway.profile(), remembers: gateway.state.is_some() };
    let level = |capability: &Capability| {
        let row = table.iter().find(|(named, _)| named == capability);
        row.map_or(Unsupported, |(_, level)| level(&known))
    };
    let all = Capability::ALL.iter();
    all.map(|capability| (capability.name().to_owned(), level(capability))).collect()
}

/// The answer to who asks.
pub(super) fn told(gateway: &Gateway) -> Value {
    let manifest = manifest(gateway);
    let words = |level: &SupportLevel| match level {
        Native => json!("native"),
        Emulated => json!("emulated"),
        Unsupported => json!("unsupported"),
        SupportLevel::Restricted { reason } => json!({"restricted": {"reason": reason}}),
    };
    let capabilities: serde_json::Map<String, Value> =
        manifest.iter().map(|(name, level)| (name.clone(), words(level))).collect();
    json!({
        "contract_version": CONTRACT_VERSION,
        "upstreams": [{
            "id": gateway.upstream.host(),
            "dialect": gateway.dialect().name(),
            "profile": gateway.profile().name,
            "model": gateway.model(),
            "capabilities": capabilities,
        }],
    })
}
