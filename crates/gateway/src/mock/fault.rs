//! What can go wrong with an answer: one table of faults, each with what it does to the frames of an
//! answer that would have been sound (`scene` has the words for that). In: a fault by its name, and
//! those frames. Out: the steps that are played on the connection. The catalogue in `docs/faults.md` is
//! written from this table.

use std::borrow::Cow;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::play::Step;
use super::scene::{HTML, STOLEN, Scene, whole};
use super::told::{Form, Manner};
use crate::config::Dialect;

/// A fault that the mock can play.
pub struct FaultKind {
    /// How it is asked for.
    pub name: &'static str,
    /// A shorter name of it; empty where there is none.
    pub short: &'static str,
    /// What the number behind its name says.
    pub number: Number,
    /// What happens, in a sentence.
    pub does: &'static str,
    play: fn(&Scene) -> Vec<Step>,
}

/// What the number of a fault says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// It takes none.
    None,
    /// After how many frames it happens: half of them, where it is not said.
    Frames,
    /// Something else.
    Of {
        /// What is counted.
        what: &'static str,
        /// How many, where it is not said.
        default: u64,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
}

const MEGABYTES: Number = Number::Of { what: "MiB", default: 20, min: 1, max: 1 << 20 };
const STATUS: Number = Number::Of { what: "the status", default: 503, min: 400, max: 599 };
const KIBIBYTES: Number = Number::Of { what: "KiB", default: 1_024, min: 1, max: 1 << 16 };
const MILLISECONDS: Number =
    Number::Of { what: "milliseconds between two", default: 1_000, min: 0, max: 3_600_000 };

/// A row of the table.
const fn fault(
    name: &'static str,
    short: &'static str,
    number: Number,
    does: &'static str,
    play: fn(&Scene) -> Vec<Step>,
) -> FaultKind {
    FaultKind { name, short, number, does, play }
}

/// All faults.
pub const FAULTS: &[FaultKind] = &[
    fault(
        "close_before_head",
        "",
        Number::None,
        "The connection is closed instead of an answer.",
        |_| vec![Step::Close],
    ),
    fault(
        "rst_before_head",
        "",
        Number::None,
        "The connection is reset instead of an answer.",
        |_| vec![Step::Reset],
    ),
    fault("stall_before_head", "", Number::None, "Nothing comes at all.", |_| vec![Step::Stall]),
    fault(
        "close_after_head",
        "",
        Number::None,
        "The head comes, then the connection is closed.",
        |scene| vec![scene.head(), Step::Close],
    ),
    fault("stall_after_head", "", Number::None, "The head comes, and nothing after it.", |scene| {
        vec![scene.head(), Step::Stall]
    }),
    fault(
        "close_mid_stream",
        "cut",
        Number::Frames,
        "The connection is closed between two frames.",
        |scene| scene.begun([Step::Close]),
    ),
    fault(
        "rst_mid_stream",
        "",
        Number::Frames,
        "The connection is reset between two frames.",
        |scene| scene.begun([Step::Reset]),
    ),
    fault(
        "close_mid_event",
        "half",
        Number::Frames,
        "The next frame comes only by half, then the connection is closed.",
        |scene| scene.begun([Step::Say(scene.half()), Step::Close]),
    ),
    fault(
        "close_mid_utf8",
        "",
        Number::Frames,
        "The next frame comes by half and ends inside a character, then the connection is closed.",
        |scene| scene.begun([Step::Say([&scene.half()[..], b"\xc3"].concat().into()), Step::Close]),
    ),
    fault(
        "clean_end_no_terminal",
        "end",
        Number::Frames,
        "The body ends, as HTTP has it, before all was said.",
        |scene| scene.begun([Step::End]),
    ),
    fault("stall_mid", "stall", Number::Frames, "Nothing more comes.", |scene| {
        scene.begun([Step::Stall])
    }),
    fault(
        "error",
        "",
        Number::Frames,
        "An error in the form of the dialect comes, and the end.",
        |scene| scene.begun([Step::Say(scene.error(scene.manner.dialect)), Step::End]),
    ),
    fault(
        "error_in_sse",
        "",
        Number::Frames,
        "An `error` event of the Responses API comes, and the end.",
        |scene| scene.begun([Step::Say(scene.error(Dialect::Responses)), Step::End]),
    ),
    fault(
        "chat_error_in_sse",
        "",
        Number::Frames,
        "An `error` object in the form of Chat Completions comes, and the end.",
        |scene| scene.begun([Step::Say(scene.error(Dialect::Chat)), Step::End]),
    ),
    fault(
        "status",
        "",
        STATUS,
        "An error with this status instead of an answer; 429 and 503 with `Retry-After: 7`.",
        |scene| scene.status(),
    ),
    fault("html_502", "", Number::None, "A proxy's page instead of an answer.", |_| {
        whole(502, &[("content-type", "text/html")], HTML)
    }),
    fault("redirect", "", Number::None, "A redirect to another host instead of an answer.", |_| {
        whole(302, &[("location", "http://192.0.2.1/v1")], "")
    }),
    fault("bad_json", "", Number::Frames, "A frame between the others holds no JSON.", |scene| {
        scene.between([Step::Say(scene.event("", "{\"choices\": nonsense"))])
    }),
    fault(
        "unknown_event",
        "",
        Number::Frames,
        "A frame of an unknown kind comes between the others.",
        |scene| scene.between([Step::Say(scene.unknown())]),
    ),
    fault("bom", "", Number::None, "The body begins with a byte order mark.", |scene| {
        let mark = Step::Say(Bytes::from_static("\u{feff}".as_bytes()));
        vec![scene.head(), mark, Step::Say(scene.body()), Step::End]
    }),
    fault("split_bytes", "", Number::None, "Each byte of the body comes alone.", |scene| {
        vec![scene.head(), Step::Drip(scene.body()), Step::End]
    }),
    fault("huge_event", "", MEGABYTES, "A frame is so large.", |scene| scene.huge()),
    fault(
        "no_newline",
        "",
        MEGABYTES,
        "A line so long comes, without an end, then the connection is closed.",
        |scene| {
            scene.begun([Step::Say(Bytes::from_static(b"data: ")), scene.fill(b"a"), Step::Close])
        },
    ),
    fault(
        "flood",
        "",
        MEGABYTES,
        "A frame of the middle is repeated until it is so much, then comes the rest.",
        |scene| scene.between([scene.fill(scene.frame().as_bytes())]),
    ),
    fault("keepalive_only", "", MILLISECONDS, "Comments come, and nothing else.", |scene| {
        let comment: &[u8] = match scene.manner.form {
            Form::Stream => b": keep-alive\n\n",
            Form::Whole | Form::Lines => b"\n",
        };
        let every = Duration::from_millis(scene.number);
        vec![scene.head(), Step::Repeat(Bytes::from_static(comment), every)]
    }),
    fault(
        "gzip_bomb_response",
        "",
        MEGABYTES,
        "The body is compressed and begins with so many empty lines.",
        |scene| scene.bomb(),
    ),
    fault(
        "truncated_length",
        "",
        Number::None,
        "The head promises a longer body than comes before the connection is closed.",
        |scene| {
            let length = Some(scene.body().len() as u64 + 1_000);
            vec![scene.head_with(length), Step::Say(scene.body()), Step::Close]
        },
    ),
    fault(
        "smuggle_response",
        "",
        Number::None,
        "A second answer, which nobody asked for, comes right behind the first.",
        |scene| {
            let length = Some(scene.body().len() as u64);
            let both = vec![Step::Say(scene.body()), Step::Raw(Bytes::from_static(STOLEN))];
            [vec![scene.head_with(length)], both].concat()
        },
    ),
    fault("huge_header", "", KIBIBYTES, "A header is so long.", |scene| scene.huge_header()),
    fault("garbage", "", Number::None, "What comes is no HTTP.", |_| {
        vec![Step::Raw(Bytes::from_static(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")), Step::Close]
    }),
];

/// A fault with its number, as it is asked for: `close_mid_stream:5`, `huge_event:50`, `garbage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Named {
    /// Its place in the table.
    index: usize,
    number: Option<u64>,
}

/// A fault that is asked for, but is not there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnknownFault {
    /// The name is in no row.
    #[error("there is no fault `{name}`; there are {}", names().join(", "))]
    Name {
        /// What was asked for.
        name: String,
    },
    /// The number is none, or not within its bounds.
    #[error("the number of the fault `{asked}` {wanted}")]
    Number {
        /// What was asked for.
        asked: String,
        /// What it would have to be.
        wanted: String,
    },
}

fn names() -> Vec<&'static str> {
    FAULTS.iter().map(|fault| fault.name).collect()
}

impl FromStr for Named {
    type Err = UnknownFault;

    fn from_str(asked: &str) -> Result<Named, UnknownFault> {
        let (name, number) = match asked.split_once(':') {
            Some((name, number)) => (name.trim(), Some(number.trim())),
            None => (asked.trim(), None),
        };
        let known =
            |fault: &FaultKind| name == fault.name || (!name.is_empty() && name == fault.short);
        let rows = FAULTS.iter().enumerate();
        let Some((index, fault)) = rows.into_iter().find(|(_, fault)| known(fault)) else {
            return Err(UnknownFault::Name { name: name.to_owned() });
        };
        let number = number.map(|number| fault.number.read(number)).transpose();
        let wrong = |wanted| UnknownFault::Number { asked: asked.to_owned(), wanted };
        Ok(Named { index, number: number.map_err(wrong)? })
    }
}

impl Number {
    /// Reads a number; the error is what it would have to be.
    fn read(self, text: &str) -> Result<u64, String> {
        let (min, max) = match self {
            Number::None => return Err("is one too many: it takes none".to_owned()),
            Number::Frames => (0, u64::MAX),
            Number::Of { min, max, .. } => (min, max),
        };
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| format!("has to be one from {min} to {max}"))
    }
}

impl TryFrom<String> for Named {
    type Error = UnknownFault;

    fn try_from(asked: String) -> Result<Named, UnknownFault> {
        asked.parse()
    }
}

impl JsonSchema for Named {
    fn schema_name() -> Cow<'static, str> {
        "FaultName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let short = FAULTS.iter().map(|fault| fault.short).filter(|short| !short.is_empty());
        let names: Vec<_> = names().into_iter().chain(short).collect();
        json_schema!({"type": "string", "pattern": format!("^({})(:[0-9]+)?$", names.join("|"))})
    }
}

impl Named {
    /// Whether it counts frames, and still has to be told how many.
    pub(super) fn takes_frames(self) -> bool {
        let counts = |fault: &FaultKind| fault.number == Number::Frames;
        self.number.is_none() && FAULTS.get(self.index).is_some_and(counts)
    }

    /// The steps of the answer with this fault. `after` counts where the fault has no number of its
    /// own.
    pub(super) fn steps(
        self,
        frames: Vec<String>,
        manner: Manner,
        after: Option<u64>,
    ) -> Vec<Step> {
        let Some(fault) = FAULTS.get(self.index) else { return Vec::new() };
        let default = match fault.number {
            Number::Of { default, .. } => default,
            Number::Frames | Number::None => frames.len() as u64 / 2,
        };
        let number = self.number.or(after);
        let at = match fault.number {
            Number::Frames => number.unwrap_or(default),
            _ => frames.len() as u64 / 2,
        };
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(frames.len());
        (fault.play)(&Scene { frames, manner, at, number: number.unwrap_or(default) })
    }
}
