//! The conversation as the contract's intermediate representation has it: messages of blocks, and
//! tools. What has no place in it rides in `metadata`, so that nothing is lost on the way.

use super::contract::{Field, Json, Members, Taking, objects, put_all, tagged, words};
use crate::error::ApiError;
use crate::json::{Object, Raw};
use crate::path::Path;
use crate::responses::Usage;

words! {
    /// Who speaks.
    IrRole {
        /// The person.
        User = "user",
        /// Whoever made the assistant.
        System = "system",
        /// The model.
        Assistant = "assistant",
        /// A tool.
        Tool = "tool",
    }
}

tagged! {
    /// What is said in a block.
    IrContent by "type" {
        /// Words.
        Text = "text" {
            /// The words.
            text: String,
        }
        /// A picture.
        Image = "image" {
            /// Its MIME type.
            media_type: String,
            /// Its bytes in base64.
            data: String,
        }
        /// A tool is called.
        ToolUse = "tool_use" {
            /// Tells this call from others.
            id: String,
            /// Which tool.
            name: String,
            /// What it is called with.
            input: Json,
        }
        /// A tool has answered.
        ToolResult = "tool_result" {
            /// The call that is answered.
            tool_use_id: String,
            /// What it said.
            content: Vec<IrContentBlock>,
            /// Whether it failed.
            is_error: bool,
        }
        /// The model thinks.
        Thinking = "thinking" {
            /// What it thinks, as far as it is told.
            text: String,
        }
    }
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct IrContentBlock {
    /// What is said.
    pub content: IrContent,
    /// What the representation has no place for.
    pub metadata: Members,
    /// Members that the contract does not name, as they came.
    pub rest: Members,
}

impl From<IrContent> for IrContentBlock {
    fn from(content: IrContent) -> Self {
        IrContentBlock { content, metadata: Members::new(), rest: Members::new() }
    }
}

impl Field for IrContentBlock {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        let mut taking = Taking::new(value, Some(path))?;
        let content = IrContent::take(&mut taking)?;
        let metadata = taking.take("metadata")?;
        Ok(IrContentBlock { content, metadata, rest: taking.rest() })
    }

    fn print(&self, out: &mut String) {
        let object = put_all(self.content.put(Object::new(out)), &self.rest);
        match self.metadata.is_empty() {
            true => object.end(),
            false => object.with("metadata", |out| self.metadata.print(out)).end(),
        }
    }
}

objects! {
    /// What was said so far.
    IrConversation {
        /// In order.
        messages: Vec<IrMessage>,
    }

    /// What one of the speakers said.
    IrMessage {
        /// Who.
        role(required): IrRole,
        /// What.
        content: Vec<IrContentBlock>,
        /// What the representation has no place for.
        metadata: Members,
    }

    /// A tool that may be called.
    IrToolDefinition {
        /// By which name.
        name(required): String,
        /// What it does.
        description: String,
        /// A JSON schema of what it is called with.
        parameters: Json,
        /// What the representation has no place for.
        metadata: Members,
    }

    /// Tokens that were used.
    IrUsage {
        /// Read by the model.
        input_tokens: u64,
        /// Made by the model.
        output_tokens: u64,
        /// Both.
        total_tokens: u64,
        /// Of the first, taken from a cache.
        cache_read_tokens: u64,
        /// Of the first, written to a cache.
        cache_write_tokens: u64,
    }
}

impl From<Usage> for IrUsage {
    fn from(usage: Usage) -> Self {
        IrUsage {
            input_tokens: usage.input,
            output_tokens: usage.output,
            total_tokens: usage.total,
            cache_read_tokens: usage.cached,
            cache_write_tokens: usage.cache_write,
            ..IrUsage::default()
        }
    }
}
