use super::host::{Host, HostError};
use std::fmt;

/// Longest URL accepted, in bytes.
const MAX_URL: usize = 8192;
/// Times a path is percent-decoded in search of a hidden dot segment; more layers than this are refused.
const MAX_DECODINGS: usize = 4;

/// The schemes that can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `https`, port 443 unless given.
    Https,
    /// `http`, port 80 unless given.
    Http,
}

impl Scheme {
    /// The scheme's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Https => "https",
            Scheme::Http => "http",
        }
    }

    /// The scheme of a lower-case name.
    pub fn from_name(name: &str) -> Option<Scheme> {
        match name {
            "https" => Some(Scheme::Https),
            "http" => Some(Scheme::Http),
            _ => None,
        }
    }

    /// The port used where a URL names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Https => 443,
            Scheme::Http => 80,
        }
    }
}

/// Why a URL is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL with a scheme and a host.
    #[error("not an absolute URL")]
    NotAUrl,
    /// Longer than 8,192 bytes.
    #[error("the URL is too long")]
    TooLong,
    /// A space, tab, line break or other control character, which URL parsers treat differently.
    #[error("the URL holds white space or a control character")]
    WhiteSpace,
    /// A backslash, which some parsers read as `/`.
    #[error("the URL holds a backslash")]
    Backslash,
    /// A scheme other than `https` and `http`.
    #[error("only `https` and `http` URLs can be requested")]
    Scheme,
    /// A user name or password before the host.
    #[error("the URL has user information before its host")]
    UserInfo,
    /// Port 0.
    #[error("port 0 cannot be requested")]
    Port,
    /// A path with dot segments, control characters or separators hidden by percent-encoding.
    #[error("the path hides a dot segment or control character by percent-encoding")]
    HiddenSegment,
    /// The host is refused.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// An `https` or `http` URL in canonical form, without fragment and user information.
///
/// The path has no dot segments, under any number of percent-decodings; unreserved characters in it are not
/// percent-encoded. [`CanonicalUrl::as_str`] is what must be requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalUrl {
    scheme: Scheme,
    host: Host,
    port: u16,
    text: Box<str>,
    /// Where the path starts and ends in `text`.
    path: std::ops::Range<usize>,
}

impl CanonicalUrl {
    /// Parses an absolute URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check_text(text)?;
        let url = ::url::Url::parse(text).map_err(|_| UrlError::NotAUrl)?;
        if has_user_info(text) {
            return Err(UrlError::UserInfo);
        }
        CanonicalUrl::narrow(url)
    }

    /// Resolves a redirect's `Location` against this URL.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        check_text(location)?;
        let base = ::url::Url::parse(&self.text).map_err(|_| UrlError::NotAUrl)?;
        let url = base.join(location).map_err(|_| UrlError::NotAUrl)?;
        if has_user_info(location) {
            return Err(UrlError::UserInfo);
        }
        CanonicalUrl::narrow(url)
    }

    fn narrow(mut url: ::url::Url) -> Result<Self, UrlError> {
        let scheme = Scheme::from_name(url.scheme()).ok_or(UrlError::Scheme)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::UserInfo);
        }
        let host = Host::from_whatwg(&url.host().ok_or(UrlError::NotAUrl)?)?;
        if let Host::Ip(address) = host {
            url.set_ip_host(address).map_err(|()| UrlError::NotAUrl)?;
        }
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(UrlError::Port);
        }
        let path = normalize_path(url.path())?;
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let explicit = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let origin = format!("{}://{host}{explicit}", scheme.as_str());
        let range = origin.len()..origin.len() + path.len();
        Ok(CanonicalUrl { scheme, host, port, text: format!("{origin}{path}{query}").into(), path: range })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's own where the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, from its leading `/` up to the query.
    pub fn path(&self) -> &str {
        self.text.get(self.path.clone()).unwrap_or("/")
    }

    /// Scheme, host and port as in the URL, without a path.
    pub fn origin(&self) -> &str {
        self.text.get(..self.path.start).unwrap_or(&self.text)
    }

    /// The whole canonical URL.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for CanonicalUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A prefix of a URL's path, by whole segments: `/v1` and `/v1/` both mean `/v1` and all below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlPathPrefix(Box<str>);

impl UrlPathPrefix {
    /// Parses a path that starts with `/` and has no query, fragment or dot segments.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check_text(text)?;
        if !text.starts_with('/') || text.contains(['?', '#']) {
            return Err(UrlError::NotAUrl);
        }
        // Through the same parser as the URLs that it will be compared with.
        let url = ::url::Url::parse(&format!("https://host{text}")).map_err(|_| UrlError::NotAUrl)?;
        let path = normalize_path(url.path())?;
        Ok(UrlPathPrefix(path.strip_suffix('/').unwrap_or(&path).into()))
    }

    /// Whether `url` has this path or one below it.
    pub fn matches(&self, url: &CanonicalUrl) -> bool {
        url.path().strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for UrlPathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.0)
    }
}

/// Refuses what the WHATWG parser would repair in silence.
fn check_text(text: &str) -> Result<(), UrlError> {
    if text.len() > MAX_URL {
        return Err(UrlError::TooLong);
    }
    if text.chars().any(|next| next.is_whitespace() || next.is_control()) {
        return Err(UrlError::WhiteSpace);
    }
    if text.contains('\\') {
        return Err(UrlError::Backslash);
    }
    Ok(())
}

/// Whether there is an `@` before the path, even with nothing before it.
fn has_user_info(text: &str) -> bool {
    let rest = text.split_once("//").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Decodes unreserved characters, brings escapes to upper case, and refuses what another parser could read as a dot
/// segment or a line break.
fn normalize_path(path: &str) -> Result<String, UrlError> {
    let mut decoded = path.as_bytes().to_vec();
    for _ in 0..MAX_DECODINGS {
        check_segments(&decoded)?;
        let next = percent_decode(&decoded);
        if next == decoded {
            return Ok(normalize_escapes(path));
        }
        decoded = next;
    }
    Err(UrlError::HiddenSegment)
}

/// No segment may be `.` or `..`, also where `\` separates, or where a server cuts parameters off at `;`.
fn check_segments(path: &[u8]) -> Result<(), UrlError> {
    let hidden = path.split(|byte| matches!(byte, b'/' | b'\\')).any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or(segment);
        name == b"." || name == b".."
    });
    if hidden || path.iter().any(u8::is_ascii_control) { Err(UrlError::HiddenSegment) } else { Ok(()) }
}

fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, tail)) = rest.split_first() {
        match escape(rest) {
            Some((byte, tail)) => {
                out.push(byte);
                rest = tail;
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

fn normalize_escapes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        match escape(rest.as_bytes()) {
            Some((byte, _)) => {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
                rest = rest.get(3..).unwrap_or("");
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or("");
            }
        }
    }
    out
}

/// The byte that a leading `%XX` stands for, and what follows it.
fn escape(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> CanonicalUrl {
        CanonicalUrl::parse(text).expect(text)
    }

    #[test]
    fn n06_spellings_of_one_url_are_one_url() {
        for (text, canonical) in [
            ("HTTPS://API.Example.COM/v1", "https://api.example.com/v1"),
            ("https://api.example.com:443/v1", "https://api.example.com/v1"),
            ("https://api.example.com", "https://api.example.com/"),
            ("https://api.example.com/v1#top", "https://api.example.com/v1"),
            ("https://api.example.com/%76%31/%7euser", "https://api.example.com/v1/~user"),
            ("https://api.example.com/a%2fb", "https://api.example.com/a%2Fb"),
            ("https://api.example.com/x/../v1", "https://api.example.com/v1"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("http://2130706433/", "http://127.0.0.1/"),
            ("http://0x7f.0.0.1/", "http://127.0.0.1/"),
            ("http://0177.0.0.1/", "http://127.0.0.1/"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://127.0.0.1./", "http://127.0.0.1/"),
            ("http://%31%32%37.0.0.1/", "http://127.0.0.1/"),
            ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
            ("https://api\u{ff0e}example\u{3002}com/", "https://api.example.com/"),
            ("http://[::ffff:127.0.0.1]:8080/", "http://127.0.0.1:8080/"),
            ("http://[0:0::1]/", "http://[::1]/"),
            ("https://api.example.com/v1?q=a%2f..", "https://api.example.com/v1?q=a%2f.."),
        ] {
            assert_eq!(url(text).as_str(), canonical, "{text}");
            assert_eq!(url(canonical).as_str(), canonical, "canonical text is a fixed point");
        }
    }

    #[test]
    fn n06_urls_that_have_more_than_one_reading_are_refused() {
        for (text, error) in [
            ("/v1", UrlError::NotAUrl),
            ("api.example.com/v1", UrlError::NotAUrl),
            ("ftp://example.com/", UrlError::Scheme),
            ("file:///etc/passwd", UrlError::Scheme),
            ("node:fs", UrlError::Scheme),
            ("data:text/plain,x", UrlError::Scheme),
            ("https://user@example.com/", UrlError::UserInfo),
            ("https://user:secret@example.com/", UrlError::UserInfo),
            ("https://@example.com/", UrlError::UserInfo),
            ("https://:@example.com/", UrlError::UserInfo),
            ("https://api.example.com@evil.org/", UrlError::UserInfo),
            ("https://example.com./", UrlError::Host(HostError::TrailingDot)),
            ("https://exa\tmple.com/", UrlError::WhiteSpace),
            (" https://example.com/", UrlError::WhiteSpace),
            ("https://example.com/\r\nHost: evil.org", UrlError::WhiteSpace),
            ("https:\\\\example.com\\", UrlError::Backslash),
            ("https://evil.org\\@example.com/", UrlError::Backslash),
            ("https://example.com:0/", UrlError::Port),
            ("https://example.com/v1/%2e%2e%2fadmin", UrlError::HiddenSegment),
            ("https://example.com/v1/..%2fadmin", UrlError::HiddenSegment),
            ("https://example.com/v1/%252e%252e/admin", UrlError::HiddenSegment),
            ("https://example.com/v1/%25252e%25252e/admin", UrlError::HiddenSegment),
            ("https://example.com/v1/..%5cadmin", UrlError::HiddenSegment),
            ("https://example.com/v1/..;/admin", UrlError::HiddenSegment),
            ("https://example.com/v1/..;x=1/admin", UrlError::HiddenSegment),
            ("https://example.com/v1/a%00.json", UrlError::HiddenSegment),
            ("https://example.com/v1/a%0d%0ax", UrlError::HiddenSegment),
            ("https://example.com/%2525252525252525", UrlError::HiddenSegment),
        ] {
            assert_eq!(CanonicalUrl::parse(text).map(|url| url.to_string()), Err(error), "{text:?}");
        }
        assert_eq!(CanonicalUrl::parse(&format!("https://e.com/{}", "a".repeat(9000))), Err(UrlError::TooLong));
    }

    #[test]
    fn n06_url_path_prefix_matches_by_whole_segments() {
        for prefix in ["/v1", "/v1/", "/%76%31/"] {
            let prefix = UrlPathPrefix::parse(prefix).expect("canonical");
            for inside in ["/v1", "/v1/", "/v1/a", "/%761/a", "/x/../v1/a", "/v1/a%2Fb", "/v1?x=/../"] {
                assert!(prefix.matches(&url(&format!("https://example.com{inside}"))), "{inside}");
            }
            for outside in
                ["/", "/v10", "/v1.json", "/V1/a", "/v1%2Fa", "/x/v1/", "//v1/", "/v1/../admin", "/v1/%2e%2e/admin"]
            {
                assert!(!prefix.matches(&url(&format!("https://example.com{outside}"))), "{outside}");
            }
        }
        assert!(UrlPathPrefix::parse("/").expect("canonical").matches(&url("https://example.com/x")));
        let doubled = UrlPathPrefix::parse("/v1//").expect("canonical");
        assert!(
            doubled.matches(&url("https://example.com/v1//x")) && !doubled.matches(&url("https://example.com/v1/x"))
        );
        for refused in ["v1", "", "/v1?x", "/v1#x", "/v1/..%2f", "/a b"] {
            assert!(UrlPathPrefix::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn n06_redirects_resolve_to_canonical_urls() {
        let base = url("https://api.example.com/v1/items?page=1");
        for (location, expected) in [
            ("/v2", "https://api.example.com/v2"),
            ("next", "https://api.example.com/v1/next"),
            ("../admin", "https://api.example.com/admin"),
            ("//evil.org/x", "https://evil.org/x"),
            ("http://[::ffff:169.254.169.254]/", "http://169.254.169.254/"),
        ] {
            assert_eq!(base.join(location).map(|url| url.to_string()).as_deref(), Ok(expected));
        }
        assert_eq!(base.join("//user@evil.org/"), Err(UrlError::UserInfo));
        assert_eq!(base.join("javascript:alert(1)"), Err(UrlError::Scheme));
        assert_eq!(base.join("/..%2fadmin"), Err(UrlError::HiddenSegment));
    }
}
