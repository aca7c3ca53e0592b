//! The messages of a WebSocket, read from the bytes that pass by (RFC 6455, 5; RFC 7692 for
//! compressed ones). In: the bytes of one direction, cut anywhere. Out: whole messages, unmasked and
//! inflated. No I/O, and nothing is answered: the bytes are somebody else's.

use flate2::{Decompress, FlushDecompress, Status};
use latimer_probe::record::account::ControlKind;

/// How much is inflated at a time.
const STEP_BYTES: usize = 32 << 10;
/// What a compressed message lacks at its end (RFC 7692, 7.2.2).
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

/// The kinds of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Binary,
    Control(ControlKind),
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: Kind,
    pub payload: Vec<u8>,
    /// How long it was on the wire, without its frames.
    pub wire_bytes: usize,
}

/// The messages of one direction.
pub(super) struct Messages {
    buffer: Vec<u8>,
    /// What came of a message in several frames, its kind, and whether it is compressed.
    begun: Vec<u8>,
    kind: Option<Kind>,
    is_compressed: bool,
    inflate: Decompress,
    limit_bytes: usize,
    /// A frame was too long or damaged: what follows cannot be told apart.
    is_lost: bool,
}

/// The head of a frame.
struct Head {
    is_last: bool,
    is_compressed: bool,
    code: u8,
    mask: Option<[u8; 4]>,
    payload_at: usize,
    payload_bytes: usize,
}

impl Messages {
    /// Messages up to `limit_bytes`, inflated.
    pub fn new(limit_bytes: usize) -> Self {
        Messages {
            buffer: Vec::new(),
            begun: Vec::new(),
            kind: None,
            is_compressed: false,
            inflate: Decompress::new(false),
            limit_bytes,
            is_lost: false,
        }
    }

    /// Adds bytes and gives the messages they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.is_lost {
            return messages;
        }
        self.buffer.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(head) = self.buffer.get(at..).and_then(head) {
            let from = at + head.payload_at;
            if head.payload_bytes > self.limit_bytes {
                self.is_lost = true;
                break;
            }
            let Some(payload) = self.buffer.get(from..from + head.payload_bytes) else { break };
            let payload = unmasked(payload, head.mask);
            at = from + head.payload_bytes;
            match self.frame(&head, payload) {
                Ok(message) => messages.extend(message),
                Err(Unreadable) => {
                    self.is_lost = true;
                    break;
                }
            }
        }
        self.buffer.drain(..at);
        if self.is_lost {
            self.buffer = Vec::new();
            self.begun = Vec::new();
        }
        messages
    }

    /// Takes a frame; gives the message it ends.
    fn frame(&mut self, head: &Head, payload: Vec<u8>) -> Result<Option<Message>, Unreadable> {
        let control = |kind| {
            let wire_bytes = payload.len();
            let kind = Kind::Control(kind);
            Ok(Some(Message { kind, payload: payload.clone(), wire_bytes }))
        };
        match head.code {
            0 => {}
            1 | 2 => {
                self.kind = Some(if head.code == 1 { Kind::Text } else { Kind::Binary });
                self.is_compressed = head.is_compressed;
                self.begun.clear();
            }
            8 => return control(ControlKind::Close),
            9 => return control(ControlKind::Ping),
            10 => return control(ControlKind::Pong),
            _ => return Err(Unreadable),
        }
        if self.begun.len() + payload.len() > self.limit_bytes {
            return Err(Unreadable);
        }
        self.begun.extend_from_slice(&payload);
        if !head.is_last {
            return Ok(None);
        }
        let kind = self.kind.take().ok_or(Unreadable)?;
        let wire_bytes = self.begun.len();
        let came = std::mem::take(&mut self.begun);
        let payload = if self.is_compressed { self.inflated(&came)? } else { came };
        Ok(Some(Message { kind, payload, wire_bytes }))
    }

    fn inflated(&mut self, squeezed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let mut plain = Vec::new();
        for mut rest in [squeezed, TAIL] {
            loop {
                let before = (self.inflate.total_in(), self.inflate.total_out());
                plain.reserve(STEP_BYTES);
                let step = self.inflate.decompress_vec(rest, &mut plain, FlushDecompress::Sync);
                let status = step.map_err(|_| Unreadable)?;
                let taken = usize::try_from(self.inflate.total_in() - before.0);
                rest = rest.get(taken.unwrap_or(rest.len())..).unwrap_or_default();
                if plain.len() > self.limit_bytes {
                    return Err(Unreadable);
                }
                if status == Status::StreamEnd {
                    self.inflate.reset(false);
                }
                let moved = (self.inflate.total_in(), self.inflate.total_out()) != before;
                if !moved || (rest.is_empty() && plain.len() < plain.capacity()) {
                    break;
                }
            }
        }
        Ok(plain)
    }
}

/// What came cannot be read.
struct Unreadable;

/// The head of the frame that begins here, when it is there.
fn head(bytes: &[u8]) -> Option<Head> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (mut at, short) = (2, usize::from(second & 0x7f));
    let mut number = |length: usize| {
        let digits = bytes.get(at..at + length)?;
        at += length;
        Some(digits.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte)))
    };
    let payload_bytes = match short {
        126 => number(2)?,
        127 => number(8)?,
        _ => short,
    };
    let mask = if second & 0x80 != 0 {
        let mask = bytes.get(at..at + 4)?.try_into().ok();
        at += 4;
        mask
    } else {
        None
    };
    Some(Head {
        is_last: first & 0x80 != 0,
        is_compressed: first & 0x40 != 0,
        code: first & 0x0f,
        mask,
        payload_at: at,
        payload_bytes,
    })
}

fn unmasked(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let Some(mask) = mask else { return payload.to_vec() };
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

#[cfg(test)]
mod tests {
    use super::{ControlKind, Kind, Message, Messages};

    fn text(payload: &str, wire_bytes: usize) -> Message {
        Message { kind: Kind::Text, payload: payload.into(), wire_bytes }
    }

    /// The examples of RFC 6455 (5.7) and RFC 7692 (7.2.3), in one row.
    #[test]
    fn the_examples_of_the_standards_are_read_however_they_are_cut() {
        let rows: &[&[u8]] = &[
            b"\x81\x05Hello",
            b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            b"\x01\x03Hel",
            b"\x89\x05Hello",
            b"\x80\x02lo",
            b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
            b"\x41\x03\xf2\x48\xcd",
            b"\x80\x04\xc9\xc9\x07\x00",
            b"\xc1\x05\xf2\x00\x11\x00\x00",
            b"\xc1\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"\xc1\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            b"\x82\x7e\x01\x00",
            &[7; 256],
            b"\x88\x02\x03\xe8",
        ];
        let wire = rows.concat();
        for cut in 1..=wire.len() {
            let mut messages = Messages::new(1 << 16);
            let read: Vec<_> = wire.chunks(cut).flat_map(|piece| messages.push(piece)).collect();
            let message = |kind, payload: &[u8]| Message {
                kind,
                payload: payload.to_vec(),
                wire_bytes: payload.len(),
            };
            let wanted = [
                text("Hello", 5),
                text("Hello", 5),
                message(Kind::Control(ControlKind::Ping), b"Hello"),
                text("Hello", 5),
                message(Kind::Control(ControlKind::Pong), b"Hello"),
                text("Hello", 7),
                text("Hello", 7),
                text("Hello", 5),
                text("Hello", 11),
                text("Hello", 8),
                message(Kind::Binary, &[7; 256]),
                message(Kind::Control(ControlKind::Close), b"\x03\xe8"),
            ];
            assert_eq!(read, wanted, "cut each {cut}");
        }
    }

    #[test]
    fn what_is_too_long_ends_the_reading() {
        let mut messages = Messages::new(4);
        assert_eq!(messages.push(b"\x81\x05Hello\x81\x01a"), []);
        let mut messages = Messages::new(4);
        assert_eq!(messages.push(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x81\x01a"), []);
        let mut messages = Messages::new(4);
        assert_eq!(messages.push(b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), []);
    }
}
