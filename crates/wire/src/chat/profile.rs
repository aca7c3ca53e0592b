//! Backends as data: what each takes, refuses and calls differently. A new backend is a new row.
//! Each entry that departs from `generic` names where it comes from.

/// What a backend needs to be told differently. A profile can be changed entry by entry with
/// [`Profile::set`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name.
    pub name: &'static str,
    /// The role of the leading instructions: `system` or `developer`.
    pub system_role: &'static str,
    /// Whether instructions that come later keep that role; else they become user messages, since
    /// many templates take a system message only at the beginning.
    pub later_system: bool,
    /// What the limit on the answer is called.
    pub max_tokens: &'static str,
    /// The member of an assistant message that takes earlier reasoning back.
    pub reasoning_back: Option<&'static str>,
    /// Whether that member has to be there also where no reasoning is known; it is empty then.
    pub reasoning_always: bool,
    /// Whether reasoning goes back as the `reasoning_details` it came as, where the client kept
    /// them for us.
    pub reasoning_details: bool,
    /// Whether a call goes back with the `extra_content` it came with, where the client kept it for
    /// us; what stands there for the first call of a message where it is not known.
    pub extra_content: Option<&'static str>,
    /// How the reasoning effort is said.
    pub effort: Effort,
    /// Whether freeform (custom) tools are taken as such; else they become functions.
    pub custom_tools: bool,
    /// What happens to tools that the service itself would run.
    pub hosted_tools: HostedTools,
    /// Whether `tool_choice` may name the tools that are allowed; else only these are sent.
    pub allowed_tools: bool,
    /// Whether a tool's output may hold images; else they follow in a user message.
    pub images_in_outputs: bool,
    /// Which ids of calls are taken.
    pub call_ids: CallIds,
    /// Whether `<think>` at the beginning of an answer is split out as reasoning.
    pub think_tags: bool,
    /// Parameters beyond the common ones that are taken.
    pub parameters: &'static [&'static str],
    /// Common parameters that are refused.
    pub refused: &'static [&'static str],
    /// Keywords of JSON schemas that are refused.
    pub schema_refused: &'static [&'static str],
}

/// How the reasoning effort is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// `"reasoning_effort": "high"`.
    Flat,
    /// `"reasoning": {"effort": "high"}`.
    Object,
    /// `"thinking": {"type": "enabled"}`, or `disabled` for the effort `none`.
    Thinking,
    /// `"chat_template_kwargs": {"enable_thinking": true}`, or `false` for the effort `none`.
    Template,
    /// Not at all.
    Unsaid,
}

/// What happens to tools that the service itself would run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostedTools {
    /// They are left out, with a note.
    Drop,
    /// The request is refused with a 400 that names the tool.
    Refuse,
    /// Where the backend has its own form (`web_search_options`), that is used; else they are left
    /// out with a note.
    Native,
}

/// Which ids of calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallIds {
    /// Up to 64 letters, digits, `_` and `-`.
    Short,
    /// Exactly nine letters and digits.
    Nine,
}

/// A careful guess at any server that says it is compatible.
const GENERIC: Profile = Profile {
    name: "generic",
    system_role: "system",
    later_system: false,
    max_tokens: "max_tokens",
    reasoning_back: None,
    reasoning_always: false,
    reasoning_details: false,
    extra_content: None,
    effort: Effort::Flat,
    custom_tools: false,
    hosted_tools: HostedTools::Drop,
    allowed_tools: false,
    images_in_outputs: false,
    call_ids: CallIds::Short,
    think_tags: true,
    parameters: &[],
    refused: &[],
    // Codex marks strings `encrypted`, which no published schema dialect knows (Codex 0.169).
    schema_refused: &["encrypted"],
};

/// Parameters that OpenAI's own service takes beyond the common ones (openai-python 3.51 types).
const OPENAI_PARAMETERS: &[&str] = &[
    "logprobs",
    "metadata",
    "prompt_cache_key",
    "safety_identifier",
    "service_tier",
    "top_logprobs",
    "user",
    "verbosity",
];

/// All profiles.
pub const PROFILES: &[Profile] = &[
    GENERIC,
    Profile {
        name: "openai",
        // openai-python 3.51: ChatCompletionDeveloperMessageParam; system is folded into it.
        system_role: "developer",
        later_system: true,
        // github.com/koosoli/ESPHomeDesigner/issues/379
        max_tokens: "max_completion_tokens",
        // openai-python 3.51: ChatCompletionCustomToolParam.
        custom_tools: true,
        hosted_tools: HostedTools::Native,
        // openai-python 3.51: ChatCompletionAllowedToolChoiceParam.
        allowed_tools: true,
        think_tags: false,
        parameters: OPENAI_PARAMETERS,
        ..GENERIC
    },
    Profile {
        name: "azure",
        // The same service behind another door; the role `system` is taken by all its versions.
        later_system: true,
        max_tokens: "max_completion_tokens",
        think_tags: false,
        parameters: &["logprobs", "top_logprobs", "user"],
        ..GENERIC
    },
    Profile {
        name: "vllm",
        // github.com/vllm-project/vllm/issues/38488: `reasoning` reaches the template, the older
        // name does not.
        reasoning_back: Some("reasoning"),
        parameters: &["logprobs", "top_logprobs", "user"],
        ..GENERIC
    },
    Profile {
        name: "llama.cpp",
        // github.com/ggml-org/llama.cpp/pull/18994; 20079: templates raise on a late system message.
        reasoning_back: Some("reasoning_content"),
        parameters: &["logprobs", "top_logprobs"],
        ..GENERIC
    },
    Profile {
        name: "ollama",
        // docs.ollama.com/api/openai-compatibility: the list of request fields.
        refused: &["parallel_tool_calls"],
        parameters: &["logprobs", "top_logprobs"],
        ..GENERIC
    },
    Profile { name: "lmstudio", parameters: &["logprobs", "top_logprobs"], ..GENERIC },
    Profile {
        name: "deepseek",
        later_system: true,
        // github.com/earendil-works/pi/issues/3636: a 400 where it is missing.
        reasoning_back: Some("reasoning_content"),
        // github.com/experientiallabs/experiential/pull/890: an empty one is always taken.
        reasoning_always: true,
        // api-docs.deepseek.com/guides/thinking_mode
        effort: Effort::Flat,
        think_tags: false,
        parameters: &["logprobs", "top_logprobs"],
        refused: &["parallel_tool_calls"],
        ..GENERIC
    },
    Profile {
        name: "openrouter",
        later_system: true,
        // openrouter.ai/docs/use-cases/reasoning-tokens
        reasoning_back: Some("reasoning"),
        reasoning_details: true,
        effort: Effort::Object,
        think_tags: false,
        parameters: &["logprobs", "prompt_cache_key", "top_logprobs", "user", "verbosity"],
        ..GENERIC
    },
    Profile {
        name: "mistral",
        // github.com/karthink/gptel/issues/1203
        call_ids: CallIds::Nine,
        // github.com/editor-code-assistant/eca/issues/231: what it does not know is a 422.
        effort: Effort::Unsaid,
        refused: &["stream_options"],
        think_tags: false,
        ..GENERIC
    },
    Profile {
        name: "groq",
        later_system: true,
        // github.com/SimonSchubert/Kai/issues/265: reasoning is refused in assistant messages.
        reasoning_back: None,
        max_tokens: "max_completion_tokens",
        think_tags: false,
        parameters: &["service_tier", "user"],
        ..GENERIC
    },
    Profile {
        name: "gemini",
        // ai.google.dev/gemini-api/docs/thought-signatures: a call without its signature is a 400;
        // the sentinel is for calls that another model made.
        extra_content: Some(
            r#"{"google":{"thought_signature":"skip_thought_signature_validator"}}"#,
        ),
        think_tags: false,
        ..GENERIC
    },
    Profile {
        name: "zai",
        // docs.z.ai/guides/capabilities/thinking-mode
        reasoning_back: Some("reasoning_content"),
        effort: Effort::Thinking,
        think_tags: false,
        ..GENERIC
    },
    Profile {
        name: "xai",
        later_system: true,
        think_tags: false,
        parameters: &["logprobs", "top_logprobs", "user"],
        ..GENERIC
    },
];

impl Default for Profile {
    /// The careful one.
    fn default() -> Self {
        GENERIC
    }
}

impl Profile {
    /// The profile of a name.
    ///
    /// # Errors
    /// With the names there are.
    pub fn named(name: &str) -> Result<Profile, String> {
        let found = PROFILES.iter().find(|profile| profile.name == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<_> = PROFILES.iter().map(|profile| profile.name).collect();
            format!("no profile is called `{name}`; there are {}", names.join(", "))
        })
    }

    /// The entries that [`Profile::set`] changes, and the values each takes.
    pub fn entries() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
        ENTRIES.iter().map(|row| (row.name, row.values.iter().map(|(name, _)| *name).collect()))
    }

    /// Changes one entry: `system_role = developer`, `later_system = true`, ...
    ///
    /// ```
    /// use latimer_wire::chat::Profile;
    /// let mut profile = Profile::named("vllm")?;
    /// profile.set("system_role", "developer")?;
    /// assert_eq!(profile.system_role, "developer");
    /// assert!(profile.set("system_role", "king").is_err());
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// With the entries there are, or the values an entry takes.
    pub fn set(&mut self, entry: &str, value: &str) -> Result<(), String> {
        let Some(row) = ENTRIES.iter().find(|row| row.name == entry) else {
            let names: Vec<_> = ENTRIES.iter().map(|row| row.name).collect();
            return Err(format!("no quirk is called `{entry}`; there are {}", names.join(", ")));
        };
        let Some((_, apply)) = row.values.iter().find(|(name, _)| *name == value) else {
            let values: Vec<_> = row.values.iter().map(|(name, _)| *name).collect();
            return Err(format!("`{entry}` is one of {}, not `{value}`", values.join(", ")));
        };
        apply(self);
        Ok(())
    }
}

/// What can be changed, and to what.
struct Entry {
    name: &'static str,
    values: &'static [(&'static str, Change)],
}

/// What a value does to a profile.
type Change = fn(&mut Profile);

const ENTRIES: &[Entry] = &[
    Entry {
        name: "system_role",
        values: &[
            ("system", |profile| profile.system_role = "system"),
            ("developer", |profile| profile.system_role = "developer"),
        ],
    },
    Entry {
        name: "later_system",
        values: &[
            ("keep", |profile| profile.later_system = true),
            ("user", |profile| profile.later_system = false),
        ],
    },
    Entry {
        name: "max_tokens",
        values: &[
            ("max_tokens", |profile| profile.max_tokens = "max_tokens"),
            ("max_completion_tokens", |profile| profile.max_tokens = "max_completion_tokens"),
        ],
    },
    Entry {
        name: "reasoning_back",
        values: &[
            ("none", |profile| profile.reasoning_back = None),
            ("reasoning_content", |profile| profile.reasoning_back = Some("reasoning_content")),
            ("reasoning", |profile| profile.reasoning_back = Some("reasoning")),
        ],
    },
    Entry {
        name: "reasoning_always",
        values: &[
            ("yes", |profile| profile.reasoning_always = true),
            ("no", |profile| profile.reasoning_always = false),
        ],
    },
    Entry {
        name: "reasoning_details",
        values: &[
            ("keep", |profile| profile.reasoning_details = true),
            ("drop", |profile| profile.reasoning_details = false),
        ],
    },
    Entry {
        name: "allowed_tools",
        values: &[
            ("keep", |profile| profile.allowed_tools = true),
            ("filter", |profile| profile.allowed_tools = false),
        ],
    },
    Entry {
        name: "effort",
        values: &[
            ("reasoning_effort", |profile| profile.effort = Effort::Flat),
            ("reasoning", |profile| profile.effort = Effort::Object),
            ("thinking", |profile| profile.effort = Effort::Thinking),
            ("enable_thinking", |profile| profile.effort = Effort::Template),
            ("none", |profile| profile.effort = Effort::Unsaid),
        ],
    },
    Entry {
        name: "custom_tools",
        values: &[
            ("custom", |profile| profile.custom_tools = true),
            ("function", |profile| profile.custom_tools = false),
        ],
    },
    Entry {
        name: "hosted_tools",
        values: &[
            ("drop", |profile| profile.hosted_tools = HostedTools::Drop),
            ("refuse", |profile| profile.hosted_tools = HostedTools::Refuse),
            ("native", |profile| profile.hosted_tools = HostedTools::Native),
        ],
    },
    Entry {
        name: "images_in_outputs",
        values: &[
            ("keep", |profile| profile.images_in_outputs = true),
            ("user", |profile| profile.images_in_outputs = false),
        ],
    },
    Entry {
        name: "call_ids",
        values: &[
            ("short", |profile| profile.call_ids = CallIds::Short),
            ("nine", |profile| profile.call_ids = CallIds::Nine),
        ],
    },
    Entry {
        name: "think_tags",
        values: &[
            ("split", |profile| profile.think_tags = true),
            ("leave", |profile| profile.think_tags = false),
        ],
    },
];
