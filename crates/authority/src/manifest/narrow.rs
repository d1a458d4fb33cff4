//! A manifest cut down to what a run really used.

use super::{Manifest, ManifestGrant};
use crate::canonical::{CanonicalPath, CanonicalUrl, HostPattern, UrlPathPrefix};
use crate::caveat::{Caveat, Names};
use crate::decide::Subject;
use crate::point::PointKind;
use std::collections::BTreeSet;

/// Most paths or prefixes listed one by one. More are covered by what the manifest says, or if it says nothing by what
/// they have in common.
const MOST_LISTED: usize = 16;

/// One request that was allowed.
#[derive(Clone, Copy, Debug)]
pub struct Used<'a> {
    /// The point of the grant that allowed it, as [`Point`](crate::Point) displays it: `fs.data`.
    pub point: &'a str,
    /// The operation.
    pub op: &'a str,
    /// What it was about.
    pub subject: Subject<'a>,
}

impl Manifest {
    /// The same manifest with only what was used: the points, operations, paths, keys, hosts, methods and tools.
    ///
    /// Budgets, times, conditions on arguments and limits stay as they are. The result allows every request in `used`
    /// that this manifest allows, and nothing that this manifest refuses.
    #[must_use]
    pub fn narrowed<'a>(&self, used: impl IntoIterator<Item = Used<'a>>) -> Manifest {
        let used: Vec<Used<'a>> = used.into_iter().collect();
        let grants = self.grants.iter().filter_map(|grant| {
            let point = grant.point.to_string();
            let used: Vec<&Used<'a>> = used.iter().filter(|used| used.point == point).collect();
            (!used.is_empty()).then(|| narrow(grant, &used))
        });
        Manifest { grants: grants.collect(), ..self.clone() }.with_fewest_parties()
    }
}

fn narrow(grant: &ManifestGrant, used: &[&Used<'_>]) -> ManifestGrant {
    let mut narrowed = grant.clone();
    match grant.point.kind {
        PointKind::Fs => {
            narrowed.ops = Names::only(used.iter().map(|used| used.op));
            let bounded = grant.caveats.iter().any(|caveat| matches!(caveat, Caveat::Under(_)));
            set(&mut narrowed.caveats, paths(used, bounded).map(|paths| Caveat::Under(paths.into())));
        }
        PointKind::Kv => {
            narrowed.ops = Names::only(used.iter().map(|used| used.op));
            set(&mut narrowed.caveats, prefixes(used).map(|prefixes| Caveat::KeyPrefix(prefixes.into())));
        }
        PointKind::Tool => {
            narrowed.ops = Names::only(used.iter().map(|used| used.op));
            let ops = narrowed.ops.clone();
            narrowed.known.retain(|op| ops.contains(op));
            narrowed.caveats.retain(|caveat| match caveat {
                Caveat::Argument(argument) => ops.contains(&argument.op),
                Caveat::ArgumentNames(allowed) => ops.contains(&allowed.op),
                Caveat::From(from) => ops.contains(&from.op),
                Caveat::Asked(asked) => ops.contains(&asked.op),
                _ => true,
            });
        }
        PointKind::Http => narrow_http(&mut narrowed.caveats, used),
        _ => {}
    }
    narrowed
}

fn narrow_http(caveats: &mut Vec<Caveat>, used: &[&Used<'_>]) {
    let requests: Vec<(&CanonicalUrl, &str)> = used
        .iter()
        .filter_map(|used| match used.subject {
            Subject::Url { url, method } => Some((url, method)),
            _ => None,
        })
        .collect();
    if requests.is_empty() {
        return;
    }
    let urls = || requests.iter().map(|(url, _)| *url);
    let hosts: BTreeSet<_> = urls().map(CanonicalUrl::host).collect();
    let schemes: BTreeSet<_> = urls().map(CanonicalUrl::scheme).collect();
    let ports: BTreeSet<_> = urls().map(CanonicalUrl::port).collect();
    let private = hosts.iter().any(|host| host.is_known_private());
    let listed: BTreeSet<&str> = urls().map(CanonicalUrl::path).collect();
    let below = |path: &str, other: &str| {
        path.strip_prefix(other).is_some_and(|rest| other.ends_with('/') || rest.starts_with('/'))
    };
    let covered = |path: &str| listed.iter().any(|other| *other != path && below(path, other));
    let listed: BTreeSet<&str> = listed.iter().copied().filter(|path| !covered(path)).collect();
    let bounded = caveats.iter().any(|caveat| matches!(caveat, Caveat::Paths(_)));
    let paths: Vec<String> = match listed.len() {
        few if few <= MOST_LISTED => listed.into_iter().map(str::to_owned).collect(),
        _ if bounded => Vec::new(),
        _ => common(listed),
    };
    let paths: Option<Vec<_>> = paths.iter().map(|path| UrlPathPrefix::parse(path).ok()).collect();
    let paths = paths.filter(|paths| !paths.is_empty());
    set(caveats, Some(Caveat::Hosts(hosts.into_iter().cloned().map(HostPattern::Exact).collect())));
    set(caveats, Some(Caveat::Methods(Names::only(requests.iter().map(|(_, method)| method)))));
    set(caveats, Some(Caveat::Schemes(schemes.into_iter().collect())));
    set(caveats, Some(Caveat::Ports(ports.into_iter().collect())));
    set(caveats, paths.map(|paths| Caveat::Paths(paths.into())));
    // A name that resolves to a private address cannot be told apart here, so only literal hosts narrow this.
    if !private && caveats.contains(&Caveat::Private(true)) && urls().all(|url| url.host().is_ip()) {
        set(caveats, Some(Caveat::Private(false)));
    }
}

/// The paths that were used, or the directory that covers them; `None` where what there is must stay.
fn paths(used: &[&Used<'_>], bounded: bool) -> Option<Vec<CanonicalPath>> {
    let paths: BTreeSet<&CanonicalPath> =
        used.iter().filter_map(|used| if let Subject::Path(path) = used.subject { Some(path) } else { None }).collect();
    if paths.iter().any(|path| path.is_root()) {
        // The directory itself was listed; below it everything is covered.
        return None;
    }
    // What lies below another of them is covered by it.
    let paths: BTreeSet<&CanonicalPath> =
        paths.iter().copied().filter(|path| !paths.iter().any(|other| other != path && path.is_under(other))).collect();
    if paths.len() <= MOST_LISTED {
        return Some(paths.into_iter().cloned().collect());
    }
    if bounded {
        return None;
    }
    let common = common(paths.into_iter().map(CanonicalPath::as_str).collect());
    common.iter().map(|path| CanonicalPath::parse(path).ok().filter(|path| !path.is_root())).collect()
}

/// The prefixes of the keys that were used, up to their last separator; `None` where a key has none.
fn prefixes(used: &[&Used<'_>]) -> Option<Vec<Box<str>>> {
    let keys = used.iter().filter_map(|used| if let Subject::Key(key) = used.subject { Some(key) } else { None });
    let prefixes: Option<BTreeSet<&str>> = keys.map(|key| key.get(..=key.rfind(['/', ':'])?)).collect();
    let prefixes = prefixes?;
    let covered = |prefix: &str| prefixes.iter().any(|other| *other != prefix && prefix.starts_with(other));
    let prefixes: BTreeSet<&str> = prefixes.iter().copied().filter(|prefix| !covered(prefix)).collect();
    (prefixes.len() <= MOST_LISTED).then(|| prefixes.into_iter().map(Box::from).collect())
}

/// The longest path, by whole components, that all paths lie under.
fn common(paths: BTreeSet<&str>) -> Vec<String> {
    let mut paths = paths.into_iter().map(|path| path.split('/').collect::<Vec<_>>());
    let Some(first) = paths.next() else { return Vec::new() };
    let shared = paths.fold(first, |shared, path| {
        shared.into_iter().zip(path).take_while(|(left, right)| left == right).map(|(left, _)| left).collect()
    });
    let joined = shared.join("/");
    vec![if joined.is_empty() { "/".to_owned() } else { joined }]
}

/// Puts a narrower caveat in the place of the one of its sort, or adds it. `None` leaves what there is.
fn set(caveats: &mut Vec<Caveat>, caveat: Option<Caveat>) {
    let Some(caveat) = caveat else { return };
    let same = |known: &&mut Caveat| std::mem::discriminant(&**known) == std::mem::discriminant(&caveat);
    match caveats.iter_mut().find(same) {
        Some(known) => *known = caveat,
        None => caveats.push(caveat),
    }
}
