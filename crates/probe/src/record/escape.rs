//! Text escaped for the inside of a JSON string, for texts as full of quotes as an event stream is.
//! In: text. Out: bytes, appended, the same that [`latimer_wire::json::push_unquoted`] writes.

use latimer_wire::json::{BLOCK_BYTES, places};

/// How much is copied at a time between two escapes, whatever it holds.
const COPIED_BYTES: usize = 16;
/// What a block may become: all of it `\u00XX`, and the rest of what was copied last.
const ESCAPED_BYTES: usize = BLOCK_BYTES * 6 + COPIED_BYTES;

/// Appends `text` escaped, without quotes.
///
/// In a stream a byte that needs an escape comes every few bytes, too often for a search and a copy of
/// the right length each: a block is searched once, and what is copied too much is written over.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut escaped = [0; ESCAPED_BYTES];
    let mut room = [0; BLOCK_BYTES + COPIED_BYTES];
    for bytes in text.as_bytes().chunks(BLOCK_BYTES) {
        // What stands behind a short block is from the block before, and is cut off.
        if let Some(place) = room.get_mut(..bytes.len()) {
            place.copy_from_slice(bytes);
        }
        let escaped_bytes = escape(&room, bytes.len(), &mut escaped);
        out.extend_from_slice(escaped.get(..escaped_bytes).unwrap_or_default());
    }
}

/// Writes the block of `length` bytes at the beginning of `room` escaped to the beginning of `out`, and
/// returns how many bytes that are.
fn escape(
    room: &[u8; BLOCK_BYTES + COPIED_BYTES],
    length: usize,
    out: &mut [u8; ESCAPED_BYTES],
) -> usize {
    let mut places = room.first_chunk().map_or(0, places);
    let (mut from, mut end) = (0, 0);
    loop {
        let to = length.min(places.trailing_zeros() as usize);
        let mut copied = from;
        while copied < to {
            let piece = room.get(copied..).and_then(<[u8]>::first_chunk::<COPIED_BYTES>);
            put(out, end + copied - from, piece.unwrap_or(&[0; COPIED_BYTES]));
            copied += COPIED_BYTES;
        }
        end += to - from;
        if to == length {
            return end;
        }
        let special = room.get(to).copied().unwrap_or_default();
        let letter = letter(special);
        put(out, end, &[b'\\', letter]);
        end += 2;
        if letter == b'u' {
            put(out, end, format!("{special:04x}").as_bytes());
            end += 4;
        }
        places &= places - 1;
        from = to + 1;
    }
}

#[inline]
fn put(out: &mut [u8; ESCAPED_BYTES], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// What stands after the backslash of a byte's escape.
const fn letter(byte: u8) -> u8 {
    match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => b'u',
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, push_escaped};
    use latimer_wire::json::push_unquoted;

    #[test]
    fn text_is_escaped_as_everywhere() {
        let every_byte: String = (0..=0x17F).filter_map(char::from_u32).collect();
        for shift in 0..BLOCK_BYTES {
            let text = ["x".repeat(shift), every_byte.clone(), "\0".repeat(shift)].concat();
            let (mut escaped, mut expected) = (Vec::new(), String::new());
            push_escaped(&mut escaped, &text);
            push_unquoted(&mut expected, &text);
            assert_eq!(String::from_utf8(escaped).as_ref(), Ok(&expected), "{shift}");
        }
    }
}
