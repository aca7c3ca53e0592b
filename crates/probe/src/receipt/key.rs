//! Keys that sign receipts: ed25519 (RFC 8032), as `openssl genpkey -algorithm ed25519` makes them. In:
//! the bytes of a PKCS#8 or SubjectPublicKeyInfo structure (DER). What is signed is the receipt's hash,
//! with words before it that no other signature begins with.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::canonical::{bytes_of, hexadecimal};

/// What stands before the hash in what is signed.
const PURPOSE: &str = "abp/v0.1 receipt ";
const ALGORITHM: &str = "ed25519";
/// What stands before the 32 bytes of a public key (RFC 8410).
const SPKI: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is none of this kind.
    #[error(
        "it is no ed25519 key; make one with `openssl genpkey -algorithm ed25519 -out key.pem`, and the \
         public one with `openssl pkey -in key.pem -pubout`"
    )]
    NotEd25519,
}

/// The operator's key. It is never printed.
pub struct SigningKey(Ed25519KeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Reads a PKCS#8 structure.
    ///
    /// # Errors
    /// When it holds no ed25519 key.
    pub fn of_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        pair.map(SigningKey).map_err(|_| KeyError::NotEd25519)
    }

    /// The key that others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().as_ref().to_vec())
    }

    /// The signature of a hash, as it stands in a receipt.
    pub(super) fn sign(&self, hash: &str) -> Value {
        let signature = self.0.sign(format!("{PURPOSE}{hash}").as_bytes());
        json!({
            "algorithm": ALGORITHM,
            "public_key": self.public().to_string(),
            "value": hexadecimal(signature.as_ref()),
        })
    }
}

/// A key that signatures are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo structure.
    ///
    /// # Errors
    /// When it holds no ed25519 key.
    pub fn of_spki(der: &[u8]) -> Result<Self, KeyError> {
        let key = der.strip_prefix(SPKI).filter(|key| key.len() == 32);
        key.map(|key| PublicKey(key.to_vec())).ok_or(KeyError::NotEd25519)
    }

    /// The key that made a signature of this hash; `None` where the signature is none.
    pub(super) fn of_signature(signature: &Value, hash: &str) -> Option<Self> {
        let text = |member: &str| signature.get(member)?.as_str();
        if text("algorithm") != Some(ALGORITHM) {
            return None;
        }
        let key = PublicKey(bytes_of(text("public_key")?)?);
        let value = bytes_of(text("value")?)?;
        let message = format!("{PURPOSE}{hash}");
        UnparsedPublicKey::new(&ED25519, &key.0).verify(message.as_bytes(), &value).ok()?;
        Some(key)
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}
