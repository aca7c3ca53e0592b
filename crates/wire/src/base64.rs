//! Bytes as text: base64 with the alphabet and the padding of RFC 4648, section 4. In: bytes, or text of
//! anyone's. Out: the other.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends bytes in base64.
///
/// ```
/// use latimer_wire::base64;
/// let mut text = String::new();
/// base64::push(&mut text, b"any bytes");
/// assert_eq!(base64::read(&text).as_deref(), Some(&b"any bytes"[..]));
/// assert_eq!(base64::read("no*base64"), None);
/// ```
pub fn push(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.chunks(3) {
        let byte = |at| chunk.get(at).copied().map_or(0, u32::from);
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * place)) as usize & 63);
            let digit = digit.filter(|_| place <= chunk.len());
            out.push(digit.map_or('=', |digit| char::from(*digit)));
        }
    }
}

/// The bytes that a base64 text means; `None` where it is none.
pub fn read(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.as_bytes().chunks(4) {
        let mut bits = 0;
        for place in 0..4 {
            let digit = chunk.get(place).map(|digit| ALPHABET.iter().position(|d| d == digit));
            bits = bits << 6 | digit.unwrap_or(Some(0))? as u32;
        }
        let whole = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        bytes.extend_from_slice(whole.get(..chunk.len().checked_sub(1)?)?);
    }
    Some(bytes)
}
