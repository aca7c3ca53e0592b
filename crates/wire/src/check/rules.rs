//! The rules as one table: id, severity, title, what it means, why it matters and who says so. What
//! breaks a rule is found in the rooms beside; what is said of it stands here and nowhere else.

use std::fmt::{Display, Formatter, Result, Write};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A client in use fails, or loses something.
    Breaks,
    /// Clients in use cope; a stricter one need not.
    Differs,
}

impl Severity {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Breaks => "breaks",
            Severity::Differs => "differs",
        }
    }
}

macro_rules! rules {
    ($($rule:ident $severity:ident $id:literal $title:literal $meaning:literal $reason:literal;)*) => {
        /// A rule that an answer can break.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $title] $rule,)*
        }

        impl Rule {
            /// All rules, in the order of the table.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            /// Its name, for people and programs.
            pub const fn id(self) -> &'static str {
                match self { $(Rule::$rule => $id,)* }
            }

            /// How bad it is to break it.
            pub const fn severity(self) -> Severity {
                match self { $(Rule::$rule => Severity::$severity,)* }
            }

            /// What is wrong, in one line.
            pub const fn title(self) -> &'static str {
                match self { $(Rule::$rule => $title,)* }
            }

            /// What has to hold.
            pub const fn meaning(self) -> &'static str {
                match self { $(Rule::$rule => $meaning,)* }
            }

            /// Why it matters, and where that is known from.
            pub const fn reason(self) -> &'static str {
                match self { $(Rule::$rule => $reason,)* }
            }
        }
    };
}

rules! {
    FrameNotJson Breaks "frame-not-json"
        "The data of an event is not a JSON object"
        "The `data` of every event is one JSON object. Only the literal `[DONE]` is none."
        "The SDKs parse every event and raise at the first that they cannot read.";
    MessageNotText Breaks "message-not-text"
        "A message over a WebSocket is not text"
        "Over a WebSocket each event is one text message."
        "Codex takes a binary message for a broken stream (`unexpected binary websocket event`).";
    EventCutOff Breaks "event-cut-off"
        "The stream ends inside an event"
        "Every event ends with a blank line; what stands after the last one is lost."
        "WHATWG HTML, Parsing an event stream: an event without its blank line is dropped.";
    BrokenCharacter Breaks "broken-character"
        "A character was cut or replaced (U+FFFD)"
        "A character of several bytes is never decoded from a part of them."
        "aisix#111, claude-code-router#1672, litellm-rs#1180: text cut between chunks arrives broken.";
    EventName Breaks "event-name"
        "The `event:` line is not the `type`"
        "Each event of a Responses stream has an `event:` line, and it equals the JSON `type`."
        "Clients dispatch on either one: Codex on the JSON, others on the line.";
    UnknownEvent Breaks "unknown-event"
        "An event of a type that is not known"
        "Only the event types of the official SDKs are sent; old names are not."
        "The Node SDK's `responses.stream()` throws on an event that it does not know.";
    DoneMarker Differs "done-marker"
        "`[DONE]` after a Responses stream"
        "A Responses stream ends with its terminal event. `[DONE]` belongs to Chat Completions."
        "OpenAI sends none. The Open Responses specification asks for it: there, say `--flavour open-responses`.";
    SequenceMissing Breaks "sequence-missing"
        "The events have no `sequence_number`"
        "Every event has a `sequence_number`."
        "llama.cpp#24957, OmniRoute#13964: strict clients reject such a stream. The SDKs' types require it.";
    SequenceOrder Breaks "sequence-order"
        "A `sequence_number` is not the next one"
        "Numbers go from 0, one by one, on every event."
        "Clients find lost events by a gap, and resume a stream after a number.";
    CreatedMissing Breaks "created-missing"
        "The stream does not begin with `response.created`"
        "The first event is `response.created`."
        "The Python SDK's accumulator raises when it is any other.";
    ResponseOrder Breaks "response-order"
        "An event of the response itself comes out of order"
        "One `response.created`, then `response.in_progress`, then items, then one terminal event."
        "llm-gateway#2072: two lifecycles in one stream break every accumulator.";
    AfterTheEnd Breaks "after-the-end"
        "An event after the terminal event"
        "Nothing follows `response.completed`, `response.incomplete` or `response.failed`."
        "codex#27185: a `response.failed` after `response.completed` makes Codex ask five more times.";
    NoTerminal Breaks "no-terminal"
        "The stream has no terminal event"
        "A stream ends in `response.completed`, `response.incomplete` or `response.failed`; after an `error` it may just end."
        "ollama#17118, ollama#14600, codex#41340: `stream closed before response.completed`; Codex asks again.";
    ErrorFirst Breaks "error-first"
        "A stream of status 200 begins with an error"
        "What fails before the first event is an HTTP error with its own status."
        "bifrost#5395, headroom#3083, routatic#59: fallbacks and retries look at the status.";
    ItemNotAdded Breaks "item-not-added"
        "An event inside an item that was never added"
        "`response.output_item.added` comes before everything else of its item."
        "litellm#41185, litellm#22102: Codex shows nothing; the Python accumulator raises.";
    ItemOpenAtEnd Breaks "item-open-at-end"
        "The response is completed while an item is open"
        "Each item has its `response.output_item.done` before the response is completed."
        "vllm#42407: Codex takes messages from `output_item.done` and finds `no last agent message`.";
    OutputIndexOrder Breaks "output-index-order"
        "An item's `output_index` is not the next one"
        "Items are added at 0, 1, 2, ...; an index is used once."
        "The Python accumulator raises; clients that key by index merge two items.";
    PartNotAdded Breaks "part-not-added"
        "Text in a part that was never added"
        "`response.content_part.added` (for summaries: `response.reasoning_summary_part.added`) comes before text."
        "litellm#24445: clients index into the item's parts and crash.";
    PartOrder Breaks "part-order"
        "A part is not the next one, or not the open one"
        "Parts are numbered from 0 in each list, and one of an item is open at a time."
        "litellm#38654: overlapping parts and a missing `summary_index` mix texts up.";
    TextNotDone Breaks "text-not-done"
        "A text, or a call's arguments, have no `.done` event"
        "Each text ends with its own event, `response.output_text.done` for one, before its part or item does."
        "ogx#5309: accumulators wait for it. vllm#42407.";
    PartNotDone Breaks "part-not-done"
        "An item is finished while a part is open"
        "`response.content_part.done` comes before `response.output_item.done`."
        "vllm#42407: clients that show a part when it is finished never show it.";
    ItemOrder Breaks "item-order"
        "An event comes where its item does not allow it"
        "Inside an item: parts open, text grows, text ends, parts close, the item ends. Nothing after that."
        "The SDKs' accumulators; the ordering rules of the Open Responses specification.";
    EventMember Breaks "event-member"
        "A member of an event is missing or of the wrong type"
        "Each event has the members that the official SDKs' types require."
        "llmgateway#2287: `item_id` missing, null where a string is needed; typed clients reject the event.";
    ItemMember Breaks "item-member"
        "A member of an item is missing or of the wrong type"
        "Each item has the members that the official SDKs' types require of its type."
        "codex#12114, codex#18307: typed clients reject it (`invalid input`), some when it is sent back.";
    PartMember Breaks "part-member"
        "A member of a content part is missing or of the wrong type"
        "`output_text` has `text` and `annotations`, the others their text."
        "llmgateway#2287: `annotations` missing; the SDKs iterate over it.";
    ResponseMember Breaks "response-member"
        "A member of the response is missing or of the wrong type"
        "A response has `id`, `object`, `created_at` (a number), `model`, `status`, `output`, `tools`, `tool_choice`, `parallel_tool_calls`."
        "OmniRoute#13964: the SDKs' types require them.";
    ItemIdChanged Breaks "item-id-changed"
        "An item changes its id"
        "One id from `output_item.added` to the terminal event."
        "The Python accumulator raises; clients that key by `item_id` lose text.";
    ResponseIdChanged Breaks "response-id-changed"
        "The response changes its id"
        "All events of a stream name one response."
        "The Python accumulator raises.";
    PreviousDiffers Breaks "previous-differs"
        "The response does not go on from the one that was asked for"
        "`previous_response_id` of the response is that of the request."
        "OpenAI's reference of the response object. A client that reads there what came before finds another conversation, or none.";
    DeltasDiffer Breaks "deltas-differ"
        "The deltas do not add up to the text"
        "All deltas of a text, put together, are the text of its `.done` event."
        "codex-router#739, codex#680: a text that is also sent whole is shown twice. bifrost#1829, codex#7517: merged calls.";
    NoDeltas Breaks "no-deltas"
        "A text comes without deltas"
        "A text that is not empty comes in deltas before its `.done` event."
        "litellm#27144: arguments that stand only in `.done` are lost by clients that add up deltas.";
    ItemDiffers Breaks "item-differs"
        "A finished item or part does not say what its text events said"
        "The texts of `content_part.done` and `output_item.done` equal those of the `.done` events."
        "Clients read one or the other; the user sees two different answers.";
    OutputMissing Breaks "output-missing"
        "The terminal event has no `output` although items came"
        "The response in the terminal event holds all finished items."
        "llm-gateway#1900: `get_final_response()` of the SDKs returns an empty answer.";
    OutputDiffers Breaks "output-differs"
        "The terminal event's `output` is not what the stream said"
        "The output of the terminal event equals the finished items, in their order."
        "SDKs return the one, Codex the other. `encrypted_content` may differ: OpenAI encrypts anew.";
    StatusMismatch Breaks "status-mismatch"
        "`status` does not fit"
        "`response.completed` holds a response that is `completed`, and so on; a whole answer is finished."
        "Programs look at `status` to see whether an answer is whole.";
    ReasonMissing Breaks "reason-missing"
        "An incomplete or failed response does not say why"
        "`incomplete` has `incomplete_details.reason`; `failed` has `error` with `code` and `message`."
        "Codex acts on the code: it compacts, waits or gives up.";
    LimitAsCompleted Breaks "limit-as-completed"
        "An answer that was cut at its limit is called complete"
        "Where the tokens reach the limit of the request, the answer is `incomplete` (Chat: `length`)."
        "vllm#24184, litellm#37710, omlx#2817: programs use half an answer.";
    UsageMissing Breaks "usage-missing"
        "There is no usage"
        "A finished answer has `usage`; a Chat stream when `stream_options.include_usage` asks for it."
        "codex#37141, rig#1212: cost and context are counted by it.";
    UsageShape Breaks "usage-shape"
        "`usage` lacks a member, or has null for it"
        "All counts are numbers; Responses also has `input_tokens_details.cached_tokens` and `output_tokens_details.reasoning_tokens`."
        "codex#37141, agentgateway#3597: with null or missing details Codex drops `response.completed`.";
    UsageSum Differs "usage-sum"
        "`total_tokens` is not the sum"
        "The total is what was read and what was made."
        "A client that shows the total and one that adds up show different things.";
    ArgumentsNotJson Breaks "arguments-not-json"
        "The arguments of a function call are not a JSON object"
        "Finished arguments are one JSON object, written as a string."
        "cc-switch#6449: merged calls; sent back, they are refused with a 400 for ever.";
    CallIdRepeated Breaks "call-id-repeated"
        "Two calls have one id"
        "Each call has an id of its own."
        "An output cannot be told to belong to its call.";
    CallIdLong Differs "call-id-long"
        "A call's id is longer than 64 characters"
        "At most 64 characters."
        "9router#393, pi#1022: sent back to OpenAI it is refused with a 400.";
    CallNotOffered Breaks "call-not-offered"
        "A tool is called that was not offered"
        "Each call names a tool of the request, with its namespace where it has one."
        "codex#23186, vllm#46737, lmstudio#1810: namespaces that are not restored; `unsupported call`.";
    CallKind Breaks "call-kind"
        "A freeform tool is called as a function, or a function as a freeform tool"
        "A `custom` tool is called by a `custom_tool_call` with its plain input."
        "ds4#745, CLIProxyAPI#5753: Codex refuses the call of `apply_patch`: `incompatible payload`.";
    ToolChoiceIgnored Breaks "tool-choice-ignored"
        "`tool_choice` was not followed"
        "A tool that is named there is called; `required` is a call, `none` is none."
        "litellm#17246: calls that are dropped on the way leave an agent nothing to go on with.";
    FormatIgnored Breaks "format-ignored"
        "The text does not have the form that was asked for"
        "With `text.format` (Chat: `response_format`) the text is JSON with all required members."
        "CLIProxyAPI#4802, Helicone#5621, bifrost#3454: the format is dropped on the way to the model.";
    MessageRepeated Differs "message-repeated"
        "The same message twice"
        "A message is one item."
        "codex-router#739: the whole message follows its pieces as an item of its own.";
    ThinkTags Differs "think-tags"
        "`<think>` in the text of an answer"
        "Reasoning comes as reasoning, not as text."
        "CLIProxyAPI#4861, vllm#43395: the user sees it, and it goes back as history.";
    ChunkMember Breaks "chunk-member"
        "A member of a chunk is missing or of the wrong type"
        "A chunk has `id`, `object` (`chat.completion.chunk`), `created` (a number), `model` and `choices`; a choice has `index` and `delta`."
        "The SDKs' types require them.";
    ChunkIdChanged Breaks "chunk-id-changed"
        "The chunks of one stream have different ids"
        "All chunks of a stream have one `id`."
        "Clients collect chunks by id.";
    RoleMissing Differs "role-missing"
        "The first delta of a choice has no role"
        "The first delta says `role: assistant`."
        "OpenAI's API reference, chat completion chunk; accumulators take the role from there.";
    FinishMissing Breaks "finish-missing"
        "A choice has no finish reason"
        "Each choice ends with one `finish_reason`."
        "Clients take a stream without one as broken off.";
    FinishRepeated Breaks "finish-repeated"
        "A choice goes on after its finish reason"
        "One finish reason a choice, and no content after it."
        "Clients stop at the first, and lose what follows.";
    FinishReason Breaks "finish-reason"
        "The finish reason is not known, or does not fit"
        "`stop`, `length`, `content_filter`, or, where tools are called, `tool_calls`."
        "Agents run the calls only when they are told `tool_calls`.";
    DoneMissing Breaks "done-missing"
        "A stream does not end with `[DONE]`"
        "`data: [DONE]` is the last event of a Chat stream, once; in the flavour `open-responses` that of a Responses stream too."
        "Clients wait for it to the end of the connection, or take the stream as broken off.";
    CallFragment Breaks "call-fragment"
        "A fragment of a tool call cannot be placed"
        "Each fragment has `index`; the first of a call also `id`, `type` and `function.name`."
        "cc-switch#6449: parallel calls without an index are merged.";
    CallIndexReused Breaks "call-index-reused"
        "Two calls share an index"
        "Each call of a choice has an index of its own, from 0."
        "gcli2api#406, smolagents#1958, plexus#691: all calls at index 0 become one call of nonsense.";
    CompletionMember Breaks "completion-member"
        "A member of a whole completion is missing or of the wrong type"
        "`id`, `object` (`chat.completion`), `created`, `model`, `choices`; a choice has `index`, `message` and `finish_reason`."
        "The SDKs' types require them.";
    ErrorShape Breaks "error-shape"
        "An error is not in OpenAI's shape"
        "`{\"error\": {\"message\", \"type\", \"param\", \"code\"}}`, the first two strings; an `error` event has its `message` itself or in `error`."
        "The SDKs show `message` and `code` from there, and nothing otherwise.";
    ErrorStatus Breaks "error-status"
        "An error comes with the status of a success"
        "A body that is an error has a status of 400 or above, and a body with such a status is an error."
        "headroom#3083, routatic#59: the SDKs go by the status alone.";
    WholeUnlikeStream Differs "whole-unlike-stream"
        "The answer has other members streamed than whole"
        "Streamed or not, a response has the same members, and so have its items."
        "A program that switches streaming on or off finds members gone.";
    NotAnswered Breaks "not-answered"
        "A plain request is not answered"
        "A text is answered, streamed and whole, also after a client has left in the middle of a stream."
        "Nothing else can be judged where this fails.";
    RefusalMissing Breaks "refusal-missing"
        "A request that is wrong is not refused, or as something else"
        "A body that is not JSON, or of the wrong types, is answered 400; an unknown path 404."
        "With a 500 the SDKs ask again, and a 200 hides the mistake. OGX's suite asserts it.";
    StreamIgnored Breaks "stream-ignored"
        "An answer is streamed that was not to be, or the other way round"
        "With `stream: true` the answer is a stream of events; without, it is one JSON object."
        "The SDKs choose by the request how they read: events as JSON raise, JSON as events is an empty stream.";
    NotJson Breaks "not-json"
        "A whole answer is not JSON"
        "An answer that is not streamed is one JSON object."
        "The SDKs raise, or hand a page of HTML to the program.";
}

impl Rule {
    /// The rule of this id.
    pub fn named(id: &str) -> Option<Rule> {
        Rule::ALL.iter().copied().find(|rule| rule.id() == id)
    }

    /// Everything that is said of it, for people.
    pub fn explain(self) -> String {
        let mut out = format!("{} ({})\n{}\n\n", self.id(), self.severity().name(), self.title());
        let _ = writeln!(out, "  What holds:  {}", self.meaning());
        let _ = writeln!(out, "  Why:         {}", self.reason());
        out
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(self.id())
    }
}
