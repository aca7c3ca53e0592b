//! The spoke for work orders, receipts and agent events: contract `abp/v0.1` of the agent backplane.
//!
//! | | request | answer |
//! |---|---|---|
//! | an agent as the backend | [`lower_request`] | [`Lift`] |
//! | a client with a work order | [`lift_request`] | [`Lower`] |
//!
//! The types have the exact JSON of the contract and keep what it does not name. [`Message`] is what
//! stands on a line between a control plane and an agent, [`PolicyProfile::denies`] holds calls
//! against what a work order forbids, [`CapabilityRequirements::check`] holds what it needs against
//! what a backend has. [`codex`] is the surface of the mapping's first specification.

mod capability;
pub mod codex;
mod contract;
mod conversation;
mod event;
mod items;
mod lift;
mod lower;
mod message;
mod order;
mod policy;
mod receipt;
mod request;
mod same;
mod time;
mod told;
mod tools;

pub use capability::{
    Capability, CapabilityManifest, CapabilityRequirement, CapabilityRequirements, MinSupport,
    SupportLevel,
};
pub use contract::{Json, Members};
pub use conversation::{
    IrContent, IrContentBlock, IrConversation, IrMessage, IrRole, IrToolDefinition, IrUsage,
};
pub use event::{AgentEvent, AgentEventKind};
pub use lift::Lift;
pub use lower::{Listener, Lower, RunHead};
pub use message::Message;
pub use order::{
    ContextPacket, ContextSnippet, ExecutionLane, PolicyProfile, RuntimeConfig, WorkOrder,
    WorkspaceMode, WorkspaceSpec,
};
pub use policy::Denied;
pub use receipt::{
    ArtifactRef, BackendIdentity, CONTRACT_VERSION, ExecutionMode, Outcome, Receipt, RunMetadata,
    UsageNormalized, VerificationReport,
};
pub use request::{OrderHead, lift_request, lower_request};
pub use time::Time;
pub use tools::Offered;
