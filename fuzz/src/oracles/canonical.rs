use std::net::IpAddr;
use std::path::{Component, Path};

use lockgate_authority::{ArgumentPath, CanonicalPath, CanonicalUrl, Host, HostPattern, UrlPathPrefix, is_private};

/// Canonical forms are read as themselves, and never say more than what they were made from. A second line of the text is
/// set against the first: a location against a URL, a path against a prefix, a host against a pattern.
pub fn canonical(text: &str) {
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    path(first, second);
    argument_path(first, second);
    host(first, second);
    if let Ok(url) = CanonicalUrl::parse(first) {
        assert_url(&url);
        if let Ok(joined) = url.join(second) {
            assert_url(&joined);
        }
        prefix(second, &url);
    }
}

fn path(first: &str, second: &str) {
    let Ok(path) = CanonicalPath::parse(first) else { return };
    assert_eq!(CanonicalPath::parse(path.as_str()).as_ref(), Ok(&path));
    assert!(path.is_under(&CanonicalPath::ROOT) && path.is_under(&path));
    // The standard library's reading of the same text.
    let mut names = Vec::new();
    for component in Path::new(first).components() {
        match component {
            Component::Normal(name) => names.push(name.to_str().expect("the text is UTF-8")),
            Component::CurDir => {}
            other => panic!("{other:?} in {first:?}"),
        }
    }
    assert_eq!(path.components().collect::<Vec<_>>(), names);
    if let Ok(other) = CanonicalPath::parse(second) {
        let whole: Vec<_> = other.components().collect();
        assert_eq!(path.is_under(&other), names.starts_with(&whole), "{path} under {other}");
        assert_eq!(path.is_under(&other), Path::new(path.as_str()).starts_with(other.as_str()) || other.is_root());
    }
}

fn argument_path(first: &str, second: &str) {
    let Ok(path) = ArgumentPath::parse(first) else { return };
    assert_eq!(ArgumentPath::parse(&path.to_string()).as_ref(), Ok(&path));
    assert!(path.holds(first) && path.holds(&path.to_string()));
    let under = ArgumentPath::parse(second).is_ok_and(|other| other.is_under(&path));
    assert_eq!(path.holds(second), under, "{path} holds {second:?}");
}

fn host(first: &str, second: &str) {
    if let Ok(host) = Host::parse(first) {
        assert_host(&host);
        assert!(HostPattern::Any.matches(&host) && HostPattern::Exact(host.clone()).matches(&host));
        let pattern = HostPattern::parse(&host.to_string()).expect("a host is a pattern");
        assert_eq!(pattern, HostPattern::Exact(host));
    }
    let Ok(pattern) = HostPattern::parse(first) else { return };
    assert_eq!(HostPattern::parse(&pattern.to_string()).as_ref(), Ok(&pattern));
    let Ok(host) = Host::parse(second) else { return };
    let (shown, pattern_shown) = (host.to_string(), pattern.to_string());
    let expected = match pattern_shown.strip_prefix("*.") {
        _ if pattern_shown == "*" => true,
        // By labels, from the last.
        Some(suffix) => {
            let mut labels = shown.rsplit('.');
            matches!(host, Host::Name(_))
                && suffix.rsplit('.').all(|label| labels.next() == Some(label))
                && labels.next().is_some()
        }
        None => shown == pattern_shown,
    };
    assert_eq!(pattern.matches(&host), expected, "{pattern} matches {host}");
}

fn assert_host(host: &Host) {
    let shown = host.to_string();
    assert_eq!(Host::parse(&shown).as_ref(), Ok(host));
    match host {
        Host::Name(name) => {
            assert!(name.parse::<IpAddr>().is_err(), "an address as a name");
            assert!(
                !name.ends_with('.') && !name.contains(|c: char| c.is_ascii_uppercase() || !c.is_ascii()),
                "{name}"
            );
        }
        Host::Ip(address) => {
            if let IpAddr::V4(four) = address {
                let mapped = IpAddr::V6(four.to_ipv6_mapped());
                assert_eq!(is_private(*address), is_private(mapped), "{address}");
            }
            assert_eq!(host.is_known_private(), is_private(*address));
        }
    }
}

fn assert_url(url: &CanonicalUrl) {
    let text = url.as_str();
    assert_eq!(CanonicalUrl::parse(text).as_ref(), Ok(url));
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    assert!(text.starts_with(url.origin()) && text[url.origin().len()..].starts_with(url.path()));
    assert!(url.path().starts_with('/') && url.port() != 0);
    let segments = || url.path().split('/').map(str::to_ascii_lowercase);
    assert!(segments().all(|segment| !matches!(&*segment, "." | ".." | "%2e" | "%2e%2e" | ".%2e" | "%2e.")), "{text}");
    assert!(!text.contains(['#', '\\', '@']) || !url.origin().contains(['#', '\\', '@']), "{text}");
    assert_host(url.host());
}

fn prefix(text: &str, url: &CanonicalUrl) {
    let Ok(prefix) = UrlPathPrefix::parse(text) else { return };
    let shown = prefix.to_string();
    assert_eq!(UrlPathPrefix::parse(&shown).as_ref(), Ok(&prefix));
    let whole = |path: &str| path.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    if prefix.matches(url) {
        assert!(whole(url.path()).starts_with(&whole(&shown)) || whole(&shown).len() <= 1, "{shown} matches {url}");
    }
}
