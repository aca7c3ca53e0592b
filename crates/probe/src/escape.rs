//! Text escaped for the inside of a JSON string, for texts as full of quotes as an event stream is.
//! In: text. Out: bytes, appended, the same that [`latimer_wire::json::push_unquoted`] writes.

/// How much text is escaped at a time, and what that may become: all of it `\u00XX`, and the rest of
/// the last eight bytes that were copied.
const BLOCK_BYTES: usize = 512;
const ESCAPED_BYTES: usize = BLOCK_BYTES * 6 + 8;

/// Appends `text` escaped, without quotes.
///
/// Eight bytes are copied whatever they hold, and the copy counts up to the first byte that needs an
/// escape: in a stream such a byte comes every few bytes, too often for a search and a copy each.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let mut escaped = [0; ESCAPED_BYTES];
    for block in text.as_bytes().chunks(BLOCK_BYTES) {
        let escaped_bytes = escape(block, &mut escaped);
        out.extend_from_slice(escaped.get(..escaped_bytes).unwrap_or_default());
    }
}

/// Writes `block` escaped to the beginning of `out`, and returns how many bytes that are.
fn escape(block: &[u8], out: &mut [u8; ESCAPED_BYTES]) -> usize {
    let (mut rest, mut end) = (block, 0);
    while let Some(first) = rest.first() {
        let plain = match rest.first_chunk::<8>() {
            Some(eight) => {
                put(out, end, eight);
                plain_bytes(u64::from_le_bytes(*eight))
            }
            None => {
                put(out, end, &[*first]);
                usize::from(letter(*first).is_none())
            }
        };
        end += plain;
        rest = rest.get(plain..).unwrap_or_default();
        if plain < 8
            && let Some((special, after)) = rest.split_first()
            && let Some(letter) = letter(*special)
        {
            put(out, end, &[b'\\', letter]);
            end += 2;
            if letter == b'u' {
                put(out, end, format!("{special:04x}").as_bytes());
                end += 4;
            }
            rest = after;
        }
    }
    end
}

fn put(out: &mut [u8; ESCAPED_BYTES], at: usize, bytes: &[u8]) {
    if let Some(place) = out.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// What stands after the backslash of a byte's escape.
const fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        ..0x20 => Some(b'u'),
        _ => None,
    }
}

/// How many of eight bytes stand before the first that needs an escape: a quote, a backslash, a
/// control character.
const fn plain_bytes(eight: u64) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGHEST: u64 = ONES << 7;
    // With its second bit turned over, a quote is the byte after the last control character.
    let quote_or_control = (eight ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    let backslash = (eight ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let marks = (quote_or_control | backslash) & !eight & HIGHEST;
    marks.trailing_zeros() as usize / 8
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
