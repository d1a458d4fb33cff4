use super::is_private;
use std::fmt;
use std::net::IpAddr;

/// Longest host name in its ASCII form, in bytes (RFC 1035, without the trailing dot).
const MAX_NAME: usize = 253;
/// Longest label of a host name, in bytes.
const MAX_LABEL: usize = 63;

/// Why a host is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Not a host name or an IP address.
    #[error("not a host name or IP address")]
    NotAHost,
    /// Ends with a dot; the name without it is the same host in only one spelling.
    #[error("a host name ends with a dot")]
    TrailingDot,
    /// A whole URL, a port or a path where a host is expected.
    #[error("a host has no scheme, port or path")]
    NotBare,
    /// A `*` anywhere but as the whole first label.
    #[error("a `*` stands only for the first labels of a name, as in `*.example.org`")]
    Wildcard,
    /// A `*` over a whole top-level domain.
    #[error("a pattern such as `*.org` covers too much")]
    TooWide,
}

/// A host in canonical form: an ASCII name in lower case (IDN as Punycode, no trailing dot), or an IP address.
///
/// Every IPv4 spelling that WHATWG URLs know (decimal, octal, hexadecimal, fewer than four parts) and IPv4-mapped
/// IPv6 become the one IPv4 address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// A name to be resolved.
    Name(Box<str>),
    /// A literal address.
    Ip(IpAddr),
}

impl Host {
    /// Parses a bare host. IPv6 may stand in brackets or without.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Host::Ip(address.to_canonical()));
        }
        if text.contains(['/', ':', '@', '?', '#', '\\']) {
            return Err(HostError::NotBare);
        }
        // The WHATWG parser would decode these before it looks at the name.
        if text.contains('%') || text.chars().any(|next| next.is_whitespace() || next.is_control()) {
            return Err(HostError::NotAHost);
        }
        Host::from_whatwg(&::url::Host::parse(text).map_err(|_| HostError::NotAHost)?)
    }

    /// Narrows a host that the WHATWG parser accepted.
    pub(super) fn from_whatwg<S: AsRef<str>>(host: &::url::Host<S>) -> Result<Self, HostError> {
        match host {
            ::url::Host::Ipv4(address) => Ok(Host::Ip(IpAddr::V4(*address))),
            ::url::Host::Ipv6(address) => Ok(Host::Ip(IpAddr::V6(*address).to_canonical())),
            ::url::Host::Domain(name) => check_name(name.as_ref()).map(|()| Host::Name(name.as_ref().into())),
        }
    }

    /// Whether the host is a literal address.
    pub fn is_ip(&self) -> bool {
        matches!(self, Host::Ip(_))
    }

    /// Whether the host is known to be private before any name is resolved: a private literal address, `localhost`
    /// or a name below it.
    pub fn is_known_private(&self) -> bool {
        match self {
            Host::Ip(address) => is_private(*address),
            Host::Name(name) => &**name == "localhost" || name.ends_with(".localhost"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(IpAddr::V4(address)) => address.fmt(f),
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// The name is already lower-case ASCII; what is left is its structure.
fn check_name(name: &str) -> Result<(), HostError> {
    if name.ends_with('.') {
        return Err(HostError::TrailingDot);
    }
    let label = |label: &str| {
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= MAX_NAME && name.split('.').all(label) { Ok(()) } else { Err(HostError::NotAHost) }
}

/// Which hosts are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// Every host, `*`.
    Any,
    /// This host only.
    Exact(Host),
    /// Every name below the suffix, at any depth, but not the suffix itself: `*.example.org`. Holds `.example.org`.
    Below(Box<str>),
}

impl HostPattern {
    /// Parses `*`, a bare host, or `*.suffix` where the suffix has at least two labels.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(HostPattern::Any);
        }
        let Some(suffix) = text.strip_prefix("*.") else {
            if text.contains('*') {
                return Err(HostError::Wildcard);
            }
            return Host::parse(text).map(HostPattern::Exact);
        };
        if suffix.contains('*') {
            return Err(HostError::Wildcard);
        }
        match Host::parse(suffix)? {
            Host::Name(name) if name.contains('.') => Ok(HostPattern::Below(format!(".{name}").into())),
            Host::Name(_) => Err(HostError::TooWide),
            Host::Ip(_) => Err(HostError::Wildcard),
        }
    }

    /// Whether `host` is meant.
    pub fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (HostPattern::Any, _) => true,
            (HostPattern::Exact(exact), host) => exact == host,
            (HostPattern::Below(suffix), Host::Name(name)) => name.len() > suffix.len() && name.ends_with(&**suffix),
            (HostPattern::Below(_), Host::Ip(_)) => false,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Any => f.write_str("*"),
            HostPattern::Exact(host) => host.fmt(f),
            HostPattern::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).expect(pattern).matches(&Host::parse(host).expect(host))
    }

    #[test]
    fn n06_wildcard_matches_below_and_neither_apex_nor_sibling() {
        for host in ["api.example.com", "a.b.example.com", "API.Example.COM"] {
            assert!(matches("*.example.com", host), "{host}");
        }
        for host in
            ["example.com", "evil-example.com", "example.com.evil.org", "api.example.com.evil.org", "xexample.com"]
        {
            assert!(!matches("*.example.com", host), "{host}");
        }
        assert!(!matches("*.example.com", "127.0.0.1"));
    }

    #[test]
    fn n06_exact_hosts_match_in_any_spelling_of_the_same_host() {
        assert!(matches("Example.COM", "example.com"));
        assert!(matches("bücher.example", "xn--bcher-kva.example"));
        assert!(matches("xn--bcher-kva.example", "BÜCHER.example"));
        assert!(matches("127.0.0.1", "2130706433"));
        assert!(matches("127.0.0.1", "0x7f.1"));
        assert!(matches("127.0.0.1", "0177.0.0.01"));
        assert!(matches("127.0.0.1", "[::ffff:7f00:1]"));
        assert!(matches("[2606:4700::1]", "2606:4700:0:0::1"));
        assert!(!matches("example.com", "example.co"));
        assert!(!matches("example.com", "www.example.com"));
        assert!(!matches("example.com", "ехample.com"), "the first letters are Cyrillic");
    }

    #[test]
    fn n06_hosts_that_have_more_than_one_reading_are_refused() {
        for (text, error) in [
            ("example.com.", HostError::TrailingDot),
            ("https://example.com", HostError::NotBare),
            ("example.com:443", HostError::NotBare),
            ("example.com/path", HostError::NotBare),
            ("user@example.com", HostError::NotBare),
            ("node:fs", HostError::NotBare),
            ("exa%6dple.com", HostError::NotAHost),
            ("a..b", HostError::NotAHost),
            (".example.com", HostError::NotAHost),
            ("", HostError::NotAHost),
            ("exa mple.com", HostError::NotAHost),
            ("example.com\n", HostError::NotAHost),
            ("256.1.1.1", HostError::NotAHost),
            ("1.2.3.4.5", HostError::NotAHost),
            ("-a.example", HostError::NotAHost),
        ] {
            assert_eq!(Host::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Host::parse(&format!("{}.example", "a".repeat(64))), Err(HostError::NotAHost));
    }

    #[test]
    fn n06_host_patterns_that_cover_too_much_are_refused() {
        for (text, error) in [
            ("*.com", HostError::TooWide),
            ("*.localhost", HostError::TooWide),
            ("a.*.com", HostError::Wildcard),
            ("*example.com", HostError::Wildcard),
            ("*.*.com", HostError::Wildcard),
            ("*.127.0.0.1", HostError::Wildcard),
            ("**", HostError::Wildcard),
        ] {
            assert_eq!(HostPattern::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn n06_localhost_is_known_private() {
        for text in ["localhost", "LOCALHOST", "a.localhost", "127.1", "[::1]", "[::ffff:10.0.0.1]", "0"] {
            assert!(Host::parse(text).expect(text).is_known_private(), "{text}");
        }
        for text in ["localhost.example.com", "notlocalhost", "8.8.8.8"] {
            assert!(!Host::parse(text).expect(text).is_known_private(), "{text}");
        }
    }
}
