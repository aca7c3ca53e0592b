//! Receipts that prove something. A receipt is sealed: the SHA-256 of its canonical JSON (RFC 8785)
//! stands in it, and inside what is hashed stands the hash of the receipt before, so that none can be
//! changed, left out or moved without its being seen. Whoever rewrites all that follows too is found out
//! by the hash of the last, or by a signature.
//!
//! [`seal`] writes, [`Chain::verify`] checks, [`recorded`] makes receipts of recorded exchanges, whose
//! lines [`RecordedLines`] holds against their seals.
//! What is hashed is the whole receipt with `receipt_sha256` null and without `signature`.

mod canonical;
mod chain;
mod key;
mod lines;
mod recorded;

pub use canonical::{NotCanonical, canonical};
pub use chain::{Chain, ChainError, Tampered, Verified};
pub use key::{KeyError, PublicKey, SigningKey};
pub use lines::{BrokenLine, RecordedLines};
pub use recorded::recorded;

use serde_json::{Map, Value, json};

use self::canonical::{exact, hashed};

/// The members that Latimer adds to a receipt of the contract.
const PARENT: &str = "parent_sha256";
const HASH: &str = "receipt_sha256";
const SIGNATURE: &str = "signature";

/// Seals a receipt as the one after `parent`, the hash of the receipt before it, and signs it where
/// there is a key. A seal that is there already is replaced. Numbers that no double holds exactly
/// become strings of their digits, since canonical JSON has no others.
///
/// # Errors
/// [`NotCanonical`] where the text is no JSON object, or a member is there twice.
///
/// ```
/// use latimer_probe::receipt::{Chain, seal};
/// let first = seal(r#"{"meta":{"run_id":"1"},"outcome":"complete"}"#, None, None)?;
/// let chain = Chain::of([first]);
/// let verified = chain.verify(None).expect("it is as it was sealed");
/// assert_eq!(verified.receipts, 1);
/// # Ok::<(), latimer_probe::receipt::NotCanonical>(())
/// ```
pub fn seal(
    receipt: &str,
    parent: Option<&str>,
    key: Option<&SigningKey>,
) -> Result<String, NotCanonical> {
    let mut members = object(&exact(receipt)?)?;
    members.insert(PARENT.to_owned(), json!(parent));
    members.shift_remove(SIGNATURE);
    members.insert(HASH.to_owned(), Value::Null);
    let hash = hashed(&members)?;
    if let Some(key) = key {
        members.insert(SIGNATURE.to_owned(), key.sign(&hash));
    }
    members.insert(HASH.to_owned(), json!(hash));
    Ok(Value::Object(members).to_string())
}

/// The hash of a sealed receipt; `None` where it has none.
pub fn hash_of(receipt: &str) -> Option<String> {
    let members: Map<String, Value> = serde_json::from_str(receipt).ok()?;
    members.get(HASH)?.as_str().map(str::to_owned)
}

/// The members of a receipt.
fn object(receipt: &str) -> Result<Map<String, Value>, NotCanonical> {
    canonical::check(receipt)?;
    serde_json::from_str(receipt).map_err(|error| NotCanonical::Malformed(error.to_string()))
}
