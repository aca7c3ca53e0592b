//! A work order: what is to be done, where, by which rules. The JSON of contract `abp/v0.1`.

use std::collections::BTreeMap;

use super::capability::CapabilityRequirements;
use super::contract::{Members, objects, words};

words! {
    /// How changes come about.
    ExecutionLane {
        /// As a patch that is proposed.
        PatchFirst = "patch_first",
        /// In the workspace itself.
        WorkspaceFirst = "workspace_first",
    }

    /// What an agent is given of the workspace.
    WorkspaceMode {
        /// A copy.
        Staged = "staged",
        /// The workspace itself.
        PassThrough = "pass_through",
    }
}

objects! {
    /// A single piece of work.
    WorkOrder {
        /// A UUID.
        id: String,
        /// What is to be done, in words.
        task(required): String,
        /// How changes come about.
        lane: ExecutionLane,
        /// Where.
        workspace: WorkspaceSpec,
        /// What to know.
        context: ContextPacket,
        /// What is allowed.
        policy: PolicyProfile,
        /// What the backend has to be able to do.
        requirements: CapabilityRequirements,
        /// How the backend is to run.
        config: RuntimeConfig,
    }

    /// The files that the work is about.
    WorkspaceSpec {
        /// A directory.
        root: String,
        /// What the agent is given of it.
        mode: WorkspaceMode,
        /// Globs of the files that belong to it; none: all.
        include: Vec<String>,
        /// Globs of those that do not.
        exclude: Vec<String>,
    }

    /// What to know before the work begins.
    ContextPacket {
        /// Paths below the root.
        files: Vec<String>,
        /// Texts.
        snippets: Vec<ContextSnippet>,
    }

    /// A text with a name.
    ContextSnippet {
        /// Its name.
        name: String,
        /// The text.
        content: String,
    }

    /// What an agent may do. All entries are globs; an empty list says nothing.
    PolicyProfile {
        /// The only tools that may be called.
        allowed_tools: Vec<String>,
        /// Tools that must not be called.
        disallowed_tools: Vec<String>,
        /// Paths that must not be read.
        deny_read: Vec<String>,
        /// Paths that must not be written.
        deny_write: Vec<String>,
        /// The only hosts that may be reached.
        allow_network: Vec<String>,
        /// Hosts that must not be reached.
        deny_network: Vec<String>,
        /// Tools that a person has to agree to.
        require_approval_for: Vec<String>,
    }

    /// How a backend is to run.
    RuntimeConfig {
        /// The model.
        model: Option<String>,
        /// What only some backends know, by name.
        vendor: Members,
        /// Environment variables.
        env: BTreeMap<String, String>,
        /// What it may cost, in US dollars.
        max_budget_usd: Option<f64>,
        /// How many turns it may take.
        max_turns: Option<u32>,
    }
}
