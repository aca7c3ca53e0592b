//! Receipts in a row, in the format in which the contract's origin exports them:
//! `{version, exported_at, chain_length, entries: [{sequence, parent_hash, receipt}]}`. In: that, or
//! sealed receipts. Out: the same, and whether it is as it was sealed; the first thing that is not is
//! named.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::canonical::{self, NotCanonical, hashed};
use super::{HASH, PARENT, PublicKey, SIGNATURE};

/// The version of the format that is written.
const VERSION: &str = "1.0";

/// A chain of receipts.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    entries: Vec<Entry>,
    stated_length: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Entry {
    sequence: u64,
    parent_hash: Option<String>,
    receipt: Value,
    /// Why its text has no canonical form.
    trouble: Option<NotCanonical>,
}

/// A text that is no chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It is no JSON.
    #[error("it is no JSON: {0}")]
    Malformed(String),
    /// Something has to be there and is not.
    #[error("it is no chain of receipts: `{0}` is missing")]
    Missing(String),
}

/// The first thing that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Tampered {
    /// A receipt is not what was hashed.
    #[error("receipt {sequence} (run {run}) is not as it was sealed: its hash is another")]
    HashMismatch {
        /// Its place.
        sequence: u64,
        /// Its run.
        run: String,
    },
    /// A receipt does not follow the one before it.
    #[error(
        "receipt {sequence} (run {run}) does not follow the one before it: its parent is another"
    )]
    ParentLinkBroken {
        /// Its place.
        sequence: u64,
        /// Its run.
        run: String,
    },
    /// Receipts are missing, or in another order.
    #[error("after receipt {after} comes {found}: something is missing or out of order")]
    ChainGap {
        /// The last that was in order.
        after: u64,
        /// What came instead of the next.
        found: u64,
    },
    /// There are more receipts, or fewer, than the chain says.
    #[error("the chain says that it has {stated} receipts, and it has {found}")]
    WrongLength {
        /// What it says.
        stated: u64,
        /// What there is.
        found: u64,
    },
    /// A run is there twice.
    #[error("run {run} is there twice: receipts {first} and {second}")]
    Duplicate {
        /// The run.
        run: String,
        /// Where it was first.
        first: u64,
        /// Where it is again.
        second: u64,
    },
    /// A receipt has no seal.
    #[error("receipt {sequence} (run {run}) has no seal")]
    Unsealed {
        /// Its place.
        sequence: u64,
        /// Its run.
        run: String,
    },
    /// A receipt cannot be hashed.
    #[error("receipt {sequence} (run {run}) cannot be what was sealed: {why}")]
    Unhashable {
        /// Its place.
        sequence: u64,
        /// Its run.
        run: String,
        /// Why.
        why: NotCanonical,
    },
    /// A signature is missing, is none of this receipt, or by another key.
    #[error("receipt {sequence} (run {run}) is not signed with this key")]
    SignatureInvalid {
        /// Its place.
        sequence: u64,
        /// Its run.
        run: String,
    },
}

/// What was found of a chain that is as it was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many receipts it has.
    pub receipts: u64,
    /// The hash of the receipt that the first one follows, and which is not here.
    pub follows: Option<String>,
    /// The hash of the last, which stands for all of them.
    pub head: Option<String>,
    /// How many have a good signature.
    pub signed: u64,
    /// How many are linked only beside what is hashed: such a link proves nothing.
    pub loosely_linked: u64,
}

impl Chain {
    /// A chain of sealed receipts; what is no JSON is kept as a text, and found by [`Chain::verify`].
    pub fn of(receipts: impl IntoIterator<Item = String>) -> Chain {
        let entries = (0..).zip(receipts).map(|(sequence, text)| {
            let receipt: Value = serde_json::from_str(&text).unwrap_or(Value::String(text.clone()));
            let parent_hash = receipt.get(PARENT).and_then(Value::as_str).map(str::to_owned);
            let trouble = canonical::check(&text).err();
            Entry { sequence, parent_hash, receipt, trouble }
        });
        Chain { entries: entries.collect(), stated_length: None }
    }

    /// Reads an exported chain.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Chain, ChainError> {
        let trouble = canonical::check(text).err();
        let value: Value =
            serde_json::from_str(text).map_err(|error| ChainError::Malformed(error.to_string()))?;
        let missing = |what: &str| ChainError::Missing(what.to_owned());
        let entries = value.get("entries").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| missing("entries"))?.iter().enumerate();
        let read = |(at, entry): (usize, &Value)| {
            let sequence = entry.get("sequence").and_then(Value::as_u64);
            let receipt = entry.get("receipt").filter(|receipt| receipt.is_object());
            let parent = entry.get("parent_hash").unwrap_or(&Value::Null);
            if !parent.is_null() && !parent.is_string() {
                return Err(missing(&format!("entries[{at}].parent_hash")));
            }
            Ok(Entry {
                sequence: sequence.ok_or_else(|| missing(&format!("entries[{at}].sequence")))?,
                parent_hash: parent.as_str().map(str::to_owned),
                receipt: receipt.ok_or_else(|| missing(&format!("entries[{at}].receipt")))?.clone(),
                trouble: trouble.clone(),
            })
        };
        let entries = entries.map(read).collect::<Result<_, ChainError>>()?;
        Ok(Chain { entries, stated_length: value.get("chain_length").and_then(Value::as_u64) })
    }

    /// The chain as it is exported. `exported_at` is a time as RFC 3339 has it.
    pub fn export(&self, exported_at: &str) -> String {
        let entries: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "sequence": entry.sequence,
                    "parent_hash": entry.parent_hash,
                    "receipt": entry.receipt,
                })
            })
            .collect();
        let chain = json!({
            "version": VERSION,
            "exported_at": exported_at,
            "chain_length": entries.len(),
            "entries": entries,
        });
        format!("{chain:#}\n")
    }

    /// The receipts, in their order.
    pub fn receipts(&self) -> impl Iterator<Item = String> {
        self.entries.iter().map(|entry| entry.receipt.to_string())
    }

    /// Whether every receipt is as it was sealed and follows the one before it; with a key, also
    /// whether each was signed with it.
    ///
    /// # Errors
    /// [`Tampered`] names the first that is not.
    pub fn verify(&self, key: Option<&PublicKey>) -> Result<Verified, Tampered> {
        let mut verified = Verified::default();
        let found = self.entries.len() as u64;
        if let Some(stated) = self.stated_length.filter(|stated| *stated != found) {
            return Err(Tampered::WrongLength { stated, found });
        }
        let (mut before, mut runs): (Option<&Entry>, _) = (None, BTreeMap::new());
        for entry in &self.entries {
            entry.in_order(before, &mut runs)?;
            let hash = entry.check_hash()?;
            verified.loosely_linked += u64::from(entry.check_link(verified.head.as_deref())?);
            if before.is_none() {
                verified.follows = entry.parent_hash.clone();
            }
            verified.signed += u64::from(entry.check_signature(&hash, key)?);
            verified.receipts += 1;
            verified.head = Some(hash);
            before = Some(entry);
        }
        Ok(verified)
    }
}

impl Entry {
    fn run(&self) -> String {
        let run = self.receipt.pointer("/meta/run_id").and_then(Value::as_str);
        run.unwrap_or_default().to_owned()
    }

    /// Whether it has the next number, and its run no other entry.
    fn in_order(
        &self,
        before: Option<&Entry>,
        runs: &mut BTreeMap<String, u64>,
    ) -> Result<(), Tampered> {
        let (run, second) = (self.run(), self.sequence);
        if let Some(first) = runs.insert(run.clone(), second) {
            return Err(Tampered::Duplicate { run, first, second });
        }
        match before.map(|before| before.sequence) {
            Some(after) if after.checked_add(1) != Some(second) => {
                Err(Tampered::ChainGap { after, found: second })
            }
            _ => Ok(()),
        }
    }

    fn check_hash(&self) -> Result<String, Tampered> {
        let (sequence, run) = (self.sequence, self.run());
        let unhashable = |why| Tampered::Unhashable { sequence, run: self.run(), why };
        if let Some(why) = self.trouble.clone() {
            return Err(unhashable(why));
        }
        let nothing = Map::new();
        let members = self.receipt.as_object().unwrap_or(&nothing);
        let Some(stated) = members.get(HASH).and_then(Value::as_str) else {
            return Err(Tampered::Unsealed { sequence, run });
        };
        match hashed(members).map_err(unhashable)? == stated {
            true => Ok(stated.to_owned()),
            false => Err(Tampered::HashMismatch { sequence, run }),
        }
    }

    /// Whether it follows the receipt with this hash; `true` where only the entry says so, and not what
    /// is hashed.
    fn check_link(&self, parent: Option<&str>) -> Result<bool, Tampered> {
        let inside = self.receipt.get(PARENT).map(|parent| parent.as_str().map(str::to_owned));
        // The first may follow one that is not in this chain.
        let first = parent.is_none();
        let agrees = |link: &Option<String>| first || link.as_deref() == parent;
        let beside =
            agrees(&self.parent_hash) && inside.as_ref().is_none_or(|i| *i == self.parent_hash);
        if !beside || !inside.as_ref().is_none_or(agrees) {
            return Err(Tampered::ParentLinkBroken { sequence: self.sequence, run: self.run() });
        }
        Ok(inside.is_none())
    }

    /// Whether it is signed, and well.
    fn check_signature(&self, hash: &str, key: Option<&PublicKey>) -> Result<bool, Tampered> {
        let signer = self.receipt.get(SIGNATURE);
        let signer = signer.map(|signature| PublicKey::of_signature(signature, hash));
        match (signer, key) {
            (Some(None), _) | (None, Some(_)) => {}
            (Some(signer), Some(key)) if signer.as_ref() != Some(key) => {}
            (signer, _) => return Ok(signer.is_some()),
        }
        Err(Tampered::SignatureInvalid { sequence: self.sequence, run: self.run() })
    }
}
