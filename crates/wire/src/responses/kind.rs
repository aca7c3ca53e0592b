//! The kinds of events as one table: wire name, the member that carries the payload, the index it
//! counts by, and the part it plays in a stream. Everything that depends on a kind reads it here.
//!
//! Source: the SDKs' 59 typed events, and two that real services send besides.

use crate::json::Raw;

/// How a response or an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Still being made.
    InProgress,
    /// All of it is there.
    Completed,
    /// Ended early, for a reason the model's limits gave: what is there is usable.
    Incomplete,
    /// Ended by an error.
    Failed,
}

impl Status {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Status::InProgress => "in_progress",
            Status::Completed => "completed",
            Status::Incomplete => "incomplete",
            Status::Failed => "failed",
        }
    }
}

/// The index that tells the parts of one item apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The event concerns no part.
    None,
    /// `content_index`: parts of `content`.
    Content,
    /// `summary_index`: parts of a reasoning item's `summary`.
    Summary,
    /// `command_index`: commands of a shell call.
    Command,
}

impl Index {
    /// The member that holds the index.
    pub const fn member(self) -> Option<&'static str> {
        match self {
            Index::None => None,
            Index::Content => Some("content_index"),
            Index::Summary => Some("summary_index"),
            Index::Command => Some("command_index"),
        }
    }

    /// The member of the item that holds the parts.
    pub const fn list(self) -> Option<&'static str> {
        match self {
            Index::Content => Some("content"),
            Index::Summary => Some("summary"),
            Index::None | Index::Command => None,
        }
    }
}

/// A text that grows by deltas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `text` of an `output_text` part.
    OutputText,
    /// `refusal` of a `refusal` part.
    Refusal,
    /// `text` of a `reasoning_text` part.
    ReasoningText,
    /// `text` of a `summary_text` part.
    SummaryText,
    /// `arguments` of a call.
    Arguments,
    /// `input` of a custom tool call.
    Input,
    /// `code` of a code interpreter call.
    Code,
    /// A text whose place in the item is not a member of its own; only the finished item has it.
    Nested,
}

impl Field {
    /// The member that holds the text: of the part where there is one, else of the item.
    pub const fn member(self) -> Option<&'static str> {
        match self {
            Field::OutputText | Field::ReasoningText | Field::SummaryText => Some("text"),
            Field::Refusal => Some("refusal"),
            Field::Arguments => Some("arguments"),
            Field::Input => Some("input"),
            Field::Code => Some("code"),
            Field::Nested => None,
        }
    }

    /// The type of the parts that hold such a text.
    pub const fn part(self) -> Option<&'static str> {
        match self {
            Field::OutputText => Some("output_text"),
            Field::Refusal => Some("refusal"),
            Field::ReasoningText => Some("reasoning_text"),
            Field::SummaryText => Some("summary_text"),
            Field::Arguments | Field::Input | Field::Code | Field::Nested => None,
        }
    }

    /// The text that a part of this type holds; `None` for types that are not known.
    pub fn of_part(kind: &str) -> Option<Field> {
        let parts = [Field::OutputText, Field::Refusal, Field::ReasoningText, Field::SummaryText];
        parts.into_iter().find(|field| field.part() == Some(kind))
    }
}

/// The part an event plays in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The response exists.
    Created,
    /// The response waits for its turn.
    Queued,
    /// Work has begun.
    InProgress,
    /// The last event, with the whole response.
    Terminal(Status),
    /// A failure of the transport; `response.failed` or the end follows.
    Error,
    /// An item opens.
    ItemAdded,
    /// An item is finished; its payload is the whole item.
    ItemDone,
    /// A part of an item opens.
    PartAdded,
    /// A part of an item is finished.
    PartDone,
    /// Text grows.
    Delta(Field),
    /// Text is finished; the payload is all of it.
    Done(Field),
    /// Something else about an open item: progress, an annotation, a picture in the making.
    Inside,
    /// Outside of any item, or not known.
    Aside,
}

/// What the table says of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The `type` on the wire.
    pub name: &'static str,
    /// How a frame with such an event begins, up to its first member's end.
    pub(super) frame: &'static str,
    /// The member that is the point of the event.
    pub payload: &'static str,
    /// The index it counts parts by.
    pub index: Index,
    /// Its part in the stream.
    pub role: Role,
}

macro_rules! kinds {
    ($($kind:ident $name:literal $payload:literal $index:ident $role:expr;)*) => {
        /// A kind of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
            /// A kind this version does not know; the event keeps its name and all its members.
            Other,
        }

        impl Kind {
            /// All known kinds.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The kind of a wire name.
            pub fn of(name: &str) -> Kind {
                match name {
                    $($name => Kind::$kind,)*
                    _ => Kind::Other,
                }
            }

            /// The table's row for this kind.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Kind::$kind => &Row {
                        name: $name,
                        frame: concat!("event: ", $name, "\ndata: {\"type\":\"", $name, "\""),
                        payload: $payload,
                        index: Index::$index,
                        role: $role,
                    },)*
                    Kind::Other => &Row {
                        name: "", frame: "", payload: "", index: Index::None, role: Role::Aside,
                    },
                }
            }
        }
    };
}

use Field::{Arguments, Code, Input, Nested, OutputText, ReasoningText, Refusal, SummaryText};
use Role::{
    Aside, Created, Delta, Done, Inside, ItemAdded, ItemDone, PartAdded, PartDone, Queued, Terminal,
};

kinds! {
    Created              "response.created"                           "response" None    Created;
    Queued               "response.queued"                            "response" None    Queued;
    InProgress           "response.in_progress"                       "response" None    Role::InProgress;
    Completed            "response.completed"                         "response" None    Terminal(Status::Completed);
    Incomplete           "response.incomplete"                        "response" None    Terminal(Status::Incomplete);
    Failed               "response.failed"                            "response" None    Terminal(Status::Failed);
    Error                "error"                                      "message"  None    Role::Error;
    ItemAdded            "response.output_item.added"                 "item"     None    ItemAdded;
    ItemDone             "response.output_item.done"                  "item"     None    ItemDone;
    ContentPartAdded     "response.content_part.added"                "part"     Content PartAdded;
    ContentPartDone      "response.content_part.done"                 "part"     Content PartDone;
    OutputTextDelta      "response.output_text.delta"                 "delta"    Content Delta(OutputText);
    OutputTextDone       "response.output_text.done"                  "text"     Content Done(OutputText);
    AnnotationAdded      "response.output_text.annotation.added"      "annotation" Content Inside;
    RefusalDelta         "response.refusal.delta"                     "delta"    Content Delta(Refusal);
    RefusalDone          "response.refusal.done"                      "refusal"  Content Done(Refusal);
    ReasoningTextDelta   "response.reasoning_text.delta"              "delta"    Content Delta(ReasoningText);
    ReasoningTextDone    "response.reasoning_text.done"               "text"     Content Done(ReasoningText);
    SummaryPartAdded     "response.reasoning_summary_part.added"      "part"     Summary PartAdded;
    SummaryPartDone      "response.reasoning_summary_part.done"       "part"     Summary PartDone;
    SummaryTextDelta     "response.reasoning_summary_text.delta"      "delta"    Summary Delta(SummaryText);
    SummaryTextDone      "response.reasoning_summary_text.done"       "text"     Summary Done(SummaryText);
    ArgumentsDelta       "response.function_call_arguments.delta"     "delta"    None    Delta(Arguments);
    ArgumentsDone        "response.function_call_arguments.done"      "arguments" None   Done(Arguments);
    InputDelta           "response.custom_tool_call_input.delta"      "delta"    None    Delta(Input);
    InputDone            "response.custom_tool_call_input.done"       "input"    None    Done(Input);
    McpArgumentsDelta    "response.mcp_call_arguments.delta"          "delta"    None    Delta(Arguments);
    McpArgumentsDone     "response.mcp_call_arguments.done"           "arguments" None   Done(Arguments);
    CodeDelta            "response.code_interpreter_call_code.delta"  "delta"    None    Delta(Code);
    CodeDone             "response.code_interpreter_call_code.done"   "code"     None    Done(Code);
    DiffDelta            "response.apply_patch_call_operation_diff.delta" "delta" None   Delta(Nested);
    DiffDone             "response.apply_patch_call_operation_diff.done"  "diff"  None   Done(Nested);
    ShellCommandAdded    "response.shell_call_command.added"          "command"  Command Inside;
    ShellCommandDelta    "response.shell_call_command.delta"          "delta"    Command Delta(Nested);
    ShellCommandDone     "response.shell_call_command.done"           "command"  Command Done(Nested);
    ShellOutputDelta     "response.shell_call_output_content.delta"   "delta"    Command Delta(Nested);
    ShellOutputDone      "response.shell_call_output_content.done"    "output"   Command Done(Nested);
    CodeInProgress       "response.code_interpreter_call.in_progress" ""         None    Inside;
    CodeInterpreting     "response.code_interpreter_call.interpreting" ""        None    Inside;
    CodeCompleted        "response.code_interpreter_call.completed"   ""         None    Inside;
    FileSearchInProgress "response.file_search_call.in_progress"      ""         None    Inside;
    FileSearchSearching  "response.file_search_call.searching"        ""         None    Inside;
    FileSearchCompleted  "response.file_search_call.completed"        ""         None    Inside;
    WebSearchInProgress  "response.web_search_call.in_progress"       ""         None    Inside;
    WebSearchSearching   "response.web_search_call.searching"         ""         None    Inside;
    WebSearchCompleted   "response.web_search_call.completed"         ""         None    Inside;
    ImageInProgress      "response.image_generation_call.in_progress" ""         None    Inside;
    ImageGenerating      "response.image_generation_call.generating"  ""         None    Inside;
    ImagePartial         "response.image_generation_call.partial_image" "partial_image_b64" None Inside;
    ImageCompleted       "response.image_generation_call.completed"   ""         None    Inside;
    McpCallInProgress    "response.mcp_call.in_progress"              ""         None    Inside;
    McpCallCompleted     "response.mcp_call.completed"                ""         None    Inside;
    McpCallFailed        "response.mcp_call.failed"                   ""         None    Inside;
    McpListInProgress    "response.mcp_list_tools.in_progress"        ""         None    Inside;
    McpListCompleted     "response.mcp_list_tools.completed"          ""         None    Inside;
    McpListFailed        "response.mcp_list_tools.failed"             ""         None    Inside;
    Compacting           "response.compaction.compacting"             ""         None    Inside;
    AudioDelta           "response.audio.delta"                       "delta"    None    Aside;
    AudioDone            "response.audio.done"                        ""         None    Aside;
    TranscriptDelta      "response.audio.transcript.delta"            "delta"    None    Aside;
    TranscriptDone       "response.audio.transcript.done"             ""         None    Aside;
}

impl Kind {
    /// The kind of an event by its text: its `type`, which nearly always stands first, else the name
    /// of its frame.
    pub fn of_data(data: &str, name: Option<&str>) -> Kind {
        let first = data.strip_prefix("{\"type\":\"").and_then(|rest| rest.split('"').next());
        match first {
            Some(kind) => Kind::of(kind),
            None => {
                let event = Raw::unchecked(data);
                match event.member_text("type").as_deref().or(name) {
                    Some(kind) => Kind::of(kind),
                    None if event.member("error").is_some() => Kind::Error,
                    None => Kind::Other,
                }
            }
        }
    }
}

/// The texts that items hold besides their parts: item type, member, and the events that bring it.
pub(crate) const ITEM_TEXTS: &[(&str, &str, Kind, Kind)] = &[
    ("function_call", "arguments", Kind::ArgumentsDelta, Kind::ArgumentsDone),
    ("custom_tool_call", "input", Kind::InputDelta, Kind::InputDone),
    ("mcp_call", "arguments", Kind::McpArgumentsDelta, Kind::McpArgumentsDone),
    ("code_interpreter_call", "code", Kind::CodeDelta, Kind::CodeDone),
];
