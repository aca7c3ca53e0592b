//! What passed on a WebSocket beside messages. In: the control frames that were noted down. Out: counts,
//! and who closed the connection and why, as data and in words.

use schemars::JsonSchema;
use serde::Serialize;

use crate::record::account::{ControlKind, Side, Socket};
use crate::words::grouped;

/// What passed on a WebSocket during an exchange, beside messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Beside {
    /// Pings, of both ends.
    pub pings: u64,
    /// Pongs, of both ends.
    pub pongs: u64,
    /// The first close.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// How a WebSocket was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Closed {
    /// By whom.
    pub by: Side,
    /// Why (RFC 6455, 7.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u16>,
    /// The reason given.
    pub reason: String,
}

impl Beside {
    /// What was noted down; nothing where nothing was.
    pub(crate) fn of(socket: &Socket) -> Option<Beside> {
        let count = |kind| socket.control.iter().filter(|frame| frame.kind == kind).count() as u64;
        let closed = socket.control.iter().find(|frame| frame.kind == ControlKind::Close);
        let beside = Beside {
            pings: count(ControlKind::Ping),
            pongs: count(ControlKind::Pong),
            closed: closed.map(|frame| Closed {
                by: frame.by,
                code: frame.code,
                reason: frame.text.clone(),
            }),
        };
        Some(beside).filter(|beside| *beside != Beside::default())
    }

    /// The same for a reader.
    pub(crate) fn words(&self) -> String {
        let counted = |count: u64, what: &str| match count {
            0 => None,
            1 => Some(format!("1 {what}")),
            count => Some(format!("{} {what}s", grouped(count))),
        };
        let closed = self.closed.as_ref().map(|closed| {
            let by = match closed.by {
                Side::Client => "the client",
                Side::Server => "the server",
            };
            let code = closed.code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
            format!("closed by {by}: {code} {}", closed.reason).trim_end().to_owned()
        });
        let words = [counted(self.pings, "ping"), counted(self.pongs, "pong"), closed];
        words.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
