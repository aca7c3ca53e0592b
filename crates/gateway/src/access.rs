//! Who may ask. There are no keys yet; a gateway on the own machine must still not answer for a web
//! page that the user merely visits. A page betrays itself by its `Origin`, and one that has its own
//! name resolve to this machine (DNS rebinding) by the `Host` it asks for.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};
use latimer_store::{Id, Tenant};
use latimer_wire::error::ApiError;
use ring::digest::{SHA256, digest};

/// Whose state a request may see: it follows from the key that is sent, which itself is kept nowhere.
/// Who sends none shares with all others who send none.
pub(crate) fn tenant(headers: &HeaderMap) -> Tenant {
    let key = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
    let digest = digest(&SHA256, &[DOMAIN, key].concat());
    let bytes: [u8; 32] = digest.as_ref().try_into().unwrap_or_default();
    Tenant::new(Id::from(bytes))
}

/// What is hashed before a key, so that the same hash elsewhere is another.
const DOMAIN: &[u8] = b"latimer tenant\0";

/// What the headers say about where a request comes from: header, and whether it holds a URL.
const WITNESSES: &[(HeaderName, bool)] = &[(header::HOST, false), (header::ORIGIN, true)];

/// Whether a request to a gateway that listens on `address` comes from elsewhere than this machine.
/// One that listens for other machines is guarded by something else.
pub(crate) fn refuse_strangers(address: SocketAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    if !address.ip().is_loopback() {
        return Ok(());
    }
    for (name, is_url) in WITNESSES {
        for value in headers.get_all(name) {
            let text = String::from_utf8_lossy(value.as_bytes());
            let authority =
                if *is_url { text.split_once("://").map(|(_, rest)| rest) } else { Some(&*text) };
            if !authority.is_some_and(is_this_machine) {
                let message = format!(
                    "Latimer: the `{name}` header names another machine. This gateway answers only \
                     for this one; ask for 127.0.0.1 or localhost."
                );
                let error = ApiError::invalid("", "forbidden_origin", message);
                return Err(ApiError { status: 403, kind: "permission_error".into(), ..error });
            }
        }
    }
    Ok(())
}

/// Whether a host, with or without a port, is a name of this machine for itself.
fn is_this_machine(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split([':', '/']).next().unwrap_or_default(),
    };
    let name = host.to_ascii_lowercase();
    let loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Host, origin, and whether it may ask.
    const CASES: &[(&str, Option<&str>, bool)] = &[
        ("127.0.0.1:8300", None, true),
        ("localhost", None, true),
        ("LOCALHOST:8300", Some("http://app.localhost:3000"), true),
        ("[::1]:8300", Some("http://[::1]"), true),
        ("127.8.8.8", Some("https://127.0.0.1:1/"), true),
        ("evil.example", None, false),
        ("127.0.0.1.evil.example:8300", None, false),
        ("localhost.evil.example", None, false),
        ("127.0.0.1", Some("https://evil.example"), false),
        ("127.0.0.1", Some("null"), false),
        ("", None, false),
    ];

    #[test]
    fn a_page_from_elsewhere_is_refused() {
        for (host, origin, may) in CASES {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            headers.extend(origin.map(|origin| (header::ORIGIN, origin.parse().unwrap())));
            let address = "127.0.0.1:8300".parse().unwrap();
            assert_eq!(refuse_strangers(address, &headers).is_ok(), *may, "{host} {origin:?}");
            let open = "0.0.0.0:8300".parse().unwrap();
            assert!(refuse_strangers(open, &headers).is_ok());
        }
    }
}
