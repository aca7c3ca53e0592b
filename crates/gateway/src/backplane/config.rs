//! What an agent may do and how receipts are signed, as it is configured.

use std::path::{Path, PathBuf};

use latimer_probe::receipt::{KeyError, PublicKey, SigningKey};
use latimer_wire::backplane::PolicyProfile;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;

/// The policy of the work orders that an agent is given. All entries are globs; an empty list says
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The only tools that may be called.
    pub allowed_tools: Vec<String>,
    /// Tools that must not be called.
    pub disallowed_tools: Vec<String>,
    /// Paths that must not be read.
    pub deny_read: Vec<String>,
    /// Paths that must not be written.
    pub deny_write: Vec<String>,
    /// The only hosts that may be reached.
    pub allow_network: Vec<String>,
    /// Hosts that must not be reached.
    pub deny_network: Vec<String>,
    /// Tools that a person has to agree to; nobody here can, so that they are not called.
    pub require_approval_for: Vec<String>,
}

impl From<Policy> for PolicyProfile {
    fn from(policy: Policy) -> PolicyProfile {
        PolicyProfile {
            allowed_tools: policy.allowed_tools,
            disallowed_tools: policy.disallowed_tools,
            deny_read: policy.deny_read,
            deny_write: policy.deny_write,
            allow_network: policy.allow_network,
            deny_network: policy.deny_network,
            require_approval_for: policy.require_approval_for,
            ..PolicyProfile::default()
        }
    }
}

/// How receipts are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptsConfig {
    /// A file with the ed25519 key that signs them (PEM, PKCS#8); none: they are not signed.
    pub signing_key: Option<PathBuf>,
}

/// Why a key cannot be used; the text names no part of it.
#[derive(Debug, thiserror::Error)]
pub enum KeyTrouble {
    /// The file holds no key in PEM.
    #[error("there is no key in it in the PEM form")]
    NotPem,
    /// It is of another kind.
    #[error(transparent)]
    Kind(#[from] KeyError),
}

/// The key in a file.
///
/// # Errors
/// When it holds none that signs receipts.
pub fn signing_key(path: &Path) -> Result<SigningKey, KeyTrouble> {
    let key = PrivatePkcs8KeyDer::from_pem_file(path).map_err(|_| KeyTrouble::NotPem)?;
    Ok(SigningKey::of_pkcs8(key.secret_pkcs8_der())?)
}

/// The public key in a file.
///
/// # Errors
/// When it holds none that verifies receipts.
pub fn public_key(path: &Path) -> Result<PublicKey, KeyTrouble> {
    let key = SubjectPublicKeyInfoDer::from_pem_file(path).map_err(|_| KeyTrouble::NotPem)?;
    Ok(PublicKey::of_spki(&key)?)
}
