//! Proxies between us and a backend. In: an address such as `http://proxy:3128` or
//! `socks5h://user:password@proxy`, or the usual environment variables. Out: a connection that leads
//! to the backend, by HTTP's CONNECT (RFC 9110, 9.3.6) or SOCKS5 (RFC 1928, with the login of RFC
//! 1929). What is said on it is nobody's business here.

use std::io::{Error, Result};
use std::net::IpAddr;

use base64::Engine as _;
use http::Uri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};

/// The head of a proxy's answer may not be longer, in bytes.
const HEAD_BYTES: usize = 16 << 10;

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    login: Option<(String, String)>,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// HTTP, by CONNECT.
    Http,
    /// SOCKS5, with addresses that are looked up here.
    Socks,
    /// SOCKS5, with names.
    SocksWithNames,
}

/// The schemes, and the ports that go without saying.
const SCHEMES: &[(&str, Kind, u16)] = &[
    ("http", Kind::Http, 80),
    ("socks5", Kind::Socks, 1080),
    ("socks5h", Kind::SocksWithNames, 1080),
];

impl std::fmt::Debug for Proxy {
    /// Without the login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({:?}, {}:{})", self.kind, self.host, self.port)
    }
}

/// A proxy's address that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{url}` is no proxy's address; write it as in http://proxy:3128, socks5://proxy:1080 or \
     socks5h://user:password@proxy"
)]
pub struct BadProxy {
    /// As it was given, without the login.
    pub url: String,
}

impl Proxy {
    /// Reads an address; one without a scheme is HTTP's.
    ///
    /// # Errors
    /// When it is none, or of a scheme that is not known.
    pub fn parse(url: &str) -> std::result::Result<Proxy, BadProxy> {
        let bad = || BadProxy { url: latimer_probe::redact::url(url) };
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let scheme = scheme.to_ascii_lowercase();
        let row = SCHEMES.iter().find(|(name, ..)| *name == scheme);
        let (_, kind, usual_port) = row.ok_or_else(bad)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((plain(user), plain(password))), address)
            }
            None => (None, authority),
        };
        let address: http::uri::Authority = address.parse().map_err(|_| bad())?;
        let host = address.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = address.port_u16().unwrap_or(*usual_port);
        if host.is_empty() {
            return Err(bad());
        }
        Ok(Proxy { kind: *kind, host, port, login })
    }

    /// The proxy that the environment names for an address, by `https_proxy`, `http_proxy`,
    /// `all_proxy` and `no_proxy`, in lower case or, but for `http_proxy`, in upper case. This machine
    /// is reached without one.
    ///
    /// # Errors
    /// When the address that is named is none.
    pub fn from_environment(
        target: &Uri,
        env: impl Fn(&str) -> Option<String>,
    ) -> std::result::Result<Option<Proxy>, BadProxy> {
        let host = target.host().unwrap_or_default().trim_matches(['[', ']']);
        let named = |name: &str| {
            // A server may be given HTTP_PROXY by a request's header `proxy` (httpoxy).
            let upper = (name != "http_proxy").then(|| env(&name.to_ascii_uppercase())).flatten();
            env(name).or(upper).filter(|value| !value.is_empty())
        };
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if is_here || named("no_proxy").is_some_and(|list| is_listed(&list, host)) {
            return Ok(None);
        }
        let of_scheme =
            if target.scheme_str() == Some("https") { "https_proxy" } else { "http_proxy" };
        let url = named(of_scheme).or_else(|| named("all_proxy"));
        url.map(|url| Proxy::parse(&url)).transpose()
    }

    /// Connects to a backend.
    ///
    /// # Errors
    /// When the proxy cannot be reached, or does not let through.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream> {
        let proxy = |error: Error| Error::other(format!("the proxy {}: {error}", self.host));
        let mut socket = TcpStream::connect((&*self.host, self.port)).await.map_err(proxy)?;
        socket.set_nodelay(true)?;
        match self.kind {
            Kind::Http => self.ask_http(&mut socket, host, port).await,
            Kind::Socks | Kind::SocksWithNames => self.ask_socks(&mut socket, host, port).await,
        }
        .map_err(proxy)?;
        Ok(socket)
    }

    async fn ask_http(&self, socket: &mut TcpStream, host: &str, port: u16) -> Result<()> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let login = self.login.as_ref().map(|(user, password)| {
            let coded =
                base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            format!("proxy-authorization: Basic {coded}\r\n")
        });
        let login = login.unwrap_or_default();
        let request =
            format!("CONNECT {host}:{port} HTTP/1.1\r\nhost: {host}:{port}\r\n{login}\r\n");
        socket.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        // Byte by byte: what follows the head is the backend's.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES {
                return Err(Error::other("its answer is too long"));
            }
            head.push(socket.read_u8().await?);
        }
        let line = String::from_utf8_lossy(&head);
        let line = line.lines().next().unwrap_or_default();
        match line.split(' ').nth(1) {
            Some(code) if code.starts_with('2') => Ok(()),
            _ => Err(Error::other(format!("it answered `{line}`"))),
        }
    }

    async fn ask_socks(&self, socket: &mut TcpStream, host: &str, port: u16) -> Result<()> {
        // Version 5, and one way to log in: none (0), or by name and password (2).
        let way = if self.login.is_some() { 2 } else { 0 };
        socket.write_all(&[5, 1, way]).await?;
        let mut chosen = [0; 2];
        socket.read_exact(&mut chosen).await?;
        if chosen != [5, way] {
            return Err(Error::other("it wants another login"));
        }
        if let Some((user, password)) = &self.login {
            let mut login = vec![1];
            push_counted(&mut login, user)?;
            push_counted(&mut login, password)?;
            socket.write_all(&login).await?;
            let mut welcome = [0; 2];
            socket.read_exact(&mut welcome).await?;
            if welcome.last() != Some(&0) {
                return Err(Error::other("it refuses the login"));
            }
        }
        let mut request = vec![5, 1, 0];
        self.push_address(&mut request, host, port).await?;
        request.extend_from_slice(&port.to_be_bytes());
        socket.write_all(&request).await?;
        read_socks_answer(socket).await
    }

    async fn push_address(&self, request: &mut Vec<u8>, host: &str, port: u16) -> Result<()> {
        let address = match host.parse() {
            Ok(address) => Some(address),
            Err(_) if self.kind == Kind::Socks => {
                let found = lookup_host((host, port)).await?.next();
                Some(found.ok_or_else(|| Error::other(format!("`{host}` is not known")))?.ip())
            }
            Err(_) => None,
        };
        match address {
            Some(IpAddr::V4(address)) => {
                request.push(1);
                request.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                request.push(4);
                request.extend_from_slice(&address.octets());
            }
            None => {
                request.push(3);
                push_counted(request, host)?;
            }
        }
        Ok(())
    }
}

/// What SOCKS5 says to a request: version, outcome, nothing, and an address that does not matter.
async fn read_socks_answer(socket: &mut TcpStream) -> Result<()> {
    let mut head = [0; 4];
    socket.read_exact(&mut head).await?;
    let [_, outcome, _, kind] = head;
    let rest = match kind {
        1 => 4,
        4 => 16,
        _ => usize::from(socket.read_u8().await?),
    };
    let mut address = vec![0; rest + 2];
    socket.read_exact(&mut address).await?;
    match outcome {
        0 => Ok(()),
        code => Err(Error::other(format!("it refuses (SOCKS5 reply {code})"))),
    }
}

fn push_counted(out: &mut Vec<u8>, text: &str) -> Result<()> {
    let length = u8::try_from(text.len());
    out.push(length.map_err(|_| Error::other("a name or password is longer than 255 bytes"))?);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Whether a host is on a list such as `localhost,.example.com,10.0.0.1,*`.
fn is_listed(list: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        let name = entry.trim_start_matches('*').trim_start_matches('.');
        let below = || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        entry == "*" || (!name.is_empty() && (host == name || below()))
    })
}

/// Without percent signs.
fn plain(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match coded.filter(|_| *byte == b'%') {
            Some(coded) => {
                out.push(coded);
                at += 3;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Kind, Proxy};

    #[test]
    fn addresses_are_read() {
        let login = Some(("me".to_owned(), "p:w@".to_owned()));
        let cases = [
            ("proxy:3128", Some((Kind::Http, "proxy", 3128, None))),
            ("http://proxy/", Some((Kind::Http, "proxy", 80, None))),
            ("SOCKS5://me:p%3Aw%40@10.0.0.1", Some((Kind::Socks, "10.0.0.1", 1080, login))),
            ("socks5h://[::1]:9", Some((Kind::SocksWithNames, "::1", 9, None))),
            ("https://proxy", None),
            ("socks4://proxy", None),
            ("http://", None),
        ];
        for (url, wanted) in cases {
            let wanted = wanted.map(|(kind, host, port, login)| Proxy {
                kind,
                host: host.to_owned(),
                port,
                login,
            });
            assert_eq!(Proxy::parse(url).ok(), wanted, "{url}");
        }
        let refused = Proxy::parse("ftp://me:canary@proxy").err().map(|error| error.to_string());
        assert!(refused.is_some_and(|words| !words.contains("canary")));
    }

    #[test]
    fn the_environment_names_a_proxy() {
        // variables, target, and whether there is one
        type Case = (&'static [(&'static str, &'static str)], &'static str, bool);
        let cases: &[Case] = &[
            (&[], "https://api.example.com/", false),
            (&[("https_proxy", "p:1")], "https://api.example.com/", true),
            (&[("HTTPS_PROXY", "p:1")], "https://api.example.com/", true),
            (&[("https_proxy", "p:1")], "http://api.example.com/", false),
            (&[("http_proxy", "p:1")], "http://api.example.com/", true),
            (&[("HTTP_PROXY", "p:1")], "http://api.example.com/", false),
            (&[("ALL_PROXY", "socks5://p")], "http://api.example.com/", true),
            (&[("all_proxy", "p"), ("no_proxy", "example.com")], "http://api.example.com/", false),
            (
                &[("all_proxy", "p"), ("no_proxy", "x, .Example.com")],
                "http://api.example.com",
                false,
            ),
            (&[("all_proxy", "p"), ("no_proxy", "pi.example.com")], "http://api.example.com", true),
            (&[("all_proxy", "p"), ("NO_PROXY", "*")], "http://api.example.com", false),
            (&[("all_proxy", "p")], "http://127.0.0.1:1/", false),
            (&[("all_proxy", "p")], "http://[::1]:1/", false),
            (&[("all_proxy", "p")], "http://localhost/", false),
        ];
        for (variables, target, wanted) in cases {
            let env = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = Proxy::from_environment(&target.parse().unwrap(), env).unwrap();
            assert_eq!(found.is_some(), *wanted, "{variables:?} {target}");
        }
    }
}
