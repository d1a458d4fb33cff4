//! The grants that one handle stands for, found by what a request is about.

use crate::canonical::{Host, HostPattern};
use crate::caveat::{Caveat, Names};
use crate::decide::{Decision, Flowed, Request, Subject, authorize_among, flow_among};
use crate::grant::Grant;
use crate::label::Flowing;
use crate::point::PointKind;
use crate::usage::Usage;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Fewest grants that are worth an index.
const MIN_GRANTS: usize = 32;
/// Most keys that one request is looked up by; one with more is decided among all grants.
const MAX_KEYS: usize = 8;

/// The grants that one handle stands for, in order. Decides as [`authorize`](crate::authorize) and
/// [`authorize_flow`](crate::authorize_flow) do among all of them, and looks only at those that can allow: of many it knows
/// which name the request's host, one of the directories that its path lies in, or its tool.
#[derive(Clone, Debug)]
pub struct Candidates {
    grants: Arc<[Grant]>,
    index: Option<Arc<Index>>,
}

/// Which grants can allow what is about a key: a host or `.suffix`, a directory, a tool.
#[derive(Debug, Default)]
struct Index {
    keyed: FxHashMap<Box<str>, Vec<usize>>,
    /// Those that name no keys.
    rest: Vec<usize>,
}

impl Candidates {
    /// The grants of a handle of this kind.
    pub fn new(kind: PointKind, grants: &[Grant]) -> Candidates {
        let index = (grants.len() >= MIN_GRANTS && KEYED.contains(&kind)).then(|| {
            let mut index = Index::default();
            for (number, grant) in grants.iter().enumerate() {
                match keys_of(kind, grant) {
                    Some(keys) => keys.into_iter().for_each(|key| {
                        let numbers = index.keyed.entry(key).or_default();
                        if numbers.last() != Some(&number) {
                            numbers.push(number);
                        }
                    }),
                    None => index.rest.push(number),
                }
            }
            Arc::new(index)
        });
        Candidates { grants: grants.into(), index }
    }

    /// Every grant, in order.
    pub fn all(&self) -> &[Grant] {
        &self.grants
    }

    /// As [`authorize`](crate::authorize) among all of them.
    pub fn authorize(&self, request: &Request<'_>, usage: &Usage) -> Decision<'_> {
        match self.likely(request) {
            Some(likely) => authorize_among(likely, self.grants.iter(), request, usage),
            None => authorize_among(self.grants.iter(), self.grants.iter(), request, usage),
        }
    }

    /// As [`authorize_flow`](crate::authorize_flow) among all of them.
    pub fn authorize_flow(&self, request: &Request<'_>, flowing: &Flowing, usage: &Usage) -> Flowed<'_> {
        match self.likely(request) {
            Some(likely) => flow_among(likely, self.grants.iter(), request, flowing, usage),
            None => flow_among(self.grants.iter(), self.grants.iter(), request, flowing, usage),
        }
    }

    /// The grants that can allow a request, in order; `None` where it is not known of any that it cannot.
    fn likely(&self, request: &Request<'_>) -> Option<Likely<'_>> {
        let index = self.index.as_ref()?;
        let mut likely = Likely { grants: &self.grants, lists: [&[]; MAX_KEYS + 1] };
        let mut lists = likely.lists.iter_mut();
        *lists.next()? = &index.rest;
        let mut look_up = |key: &str| match index.keyed.get(key) {
            Some(numbers) => lists.next().map(|list| *list = numbers),
            None => Some(()),
        };
        match (request.kind, request.subject) {
            (PointKind::Http, Subject::Url { url, .. }) => {
                if let Host::Name(name) = url.host() {
                    look_up(name)?;
                    let mut dots = name.match_indices('.').filter_map(|(at, _)| name.get(at..));
                    dots.try_for_each(&mut look_up)?;
                }
            }
            (PointKind::Fs, Subject::Path(path)) => {
                look_up(".")?;
                let path = path.as_str();
                let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                let mut above = ends.filter_map(|end| path.get(..end)).filter(|above| *above != ".");
                above.try_for_each(&mut look_up)?;
            }
            (PointKind::Tool, _) => look_up(request.op)?,
            _ => return None,
        }
        Some(likely)
    }
}

impl std::ops::Deref for Candidates {
    type Target = [Grant];

    fn deref(&self) -> &[Grant] {
        &self.grants
    }
}

/// The kinds of point of which grants can name keys.
const KEYED: &[PointKind] = &[PointKind::Http, PointKind::Fs, PointKind::Tool];

/// The keys without one of which a grant refuses; `None` where some caveat does not say it so.
fn keys_of(kind: PointKind, grant: &Grant) -> Option<Vec<Box<str>>> {
    grant.caveats().find_map(|caveat| match (kind, caveat) {
        (PointKind::Http, Caveat::Hosts(patterns)) => patterns.iter().map(key_of_host).collect(),
        (PointKind::Fs, Caveat::Under(prefixes)) => Some(prefixes.iter().map(|path| path.as_str().into()).collect()),
        (PointKind::Tool, Caveat::Ops(Names::Only(names))) => Some(names.to_vec()),
        _ => None,
    })
}

/// A name stands for itself, and a suffix with its dot for what lies below it. Addresses are compared one by one.
fn key_of_host(pattern: &HostPattern) -> Option<Box<str>> {
    match pattern {
        HostPattern::Exact(Host::Name(name)) => Some(name.clone()),
        HostPattern::Below(suffix) => Some(suffix.clone()),
        HostPattern::Exact(Host::Ip(_)) | HostPattern::Any => None,
    }
}

/// Grants by their numbers in several ascending lists, in ascending order.
#[derive(Clone)]
struct Likely<'g> {
    grants: &'g [Grant],
    lists: [&'g [usize]; MAX_KEYS + 1],
}

impl<'g> Iterator for Likely<'g> {
    type Item = &'g Grant;

    fn next(&mut self) -> Option<&'g Grant> {
        let next = self.lists.iter().filter_map(|list| list.first()).min().copied()?;
        for list in &mut self.lists {
            if let Some((first, rest)) = list.split_first()
                && *first == next
            {
                *list = rest;
            }
        }
        self.grants.get(next)
    }
}
