//! A manifest cut down to what sessions did: also what tools were given, and what was spent.

use super::{Manifest, ManifestGrant, Used};
use crate::canonical::ArgumentPath;
use crate::caveat::{ArgumentCaveat, ArgumentNames, Caveat, Names};
use crate::decide::Subject;
use crate::point::PointKind;
use crate::predicate::Predicate;
use crate::value::Value;
use std::collections::BTreeSet;

/// Most values of an argument that are listed one by one.
const MOST_VALUES: usize = 8;
/// Longest text that is listed as a value, in bytes.
const LONGEST_VALUE: usize = 128;
/// Most arguments of one tool on which conditions are put.
const MOST_ARGUMENTS: usize = 64;

/// One crossing that was allowed, as it was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What it used: the point of the *root* grant behind it, also where a child cell made it.
    pub used: Used<'a>,
    /// Its arguments; `None` where only their digest was kept, so that neither they nor what it was about are known.
    pub args: Option<&'a Value>,
}

/// What one session did under a manifest.
#[derive(Clone, Debug, Default)]
pub struct Past<'a> {
    /// What was allowed, in any order.
    pub calls: Vec<Call<'a>>,
    /// Points that child cells were given, whether they used them or not.
    pub delegated: Vec<&'a str>,
    /// Bytes that were spent through a point, where that is known.
    pub bytes: Vec<(&'a str, u64)>,
}

/// Why a part of a manifest was not narrowed further.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    /// The section, `fs.data`.
    pub section: String,
    /// One sentence.
    pub text: String,
}

/// The least manifest that would have sufficed, as far as what was recorded tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Tightened {
    /// The manifest: it allows everything that was done, and nothing that the wider one refuses.
    pub manifest: Manifest,
    /// What could not be narrowed, and why.
    pub remarks: Vec<Remark>,
}

impl Manifest {
    /// The same manifest with only what `past` used of it: points, operations, paths, keys, hosts, methods, tools, the
    /// arguments of tools, and of the budgets that it has what the largest session spent.
    ///
    /// Limits, times, rates and approvals stay, and no budget is added. The result suffices for each of the sessions
    /// and refuses whatever this manifest refuses.
    #[must_use]
    pub fn tightened(&self, past: &[Past<'_>]) -> Tightened {
        let mut manifest = self.narrowed(past.iter().flat_map(|session| session.calls.iter().map(|call| call.used)));
        let mut remarks = Vec::new();
        for grant in &mut manifest.grants {
            let point = grant.point.to_string();
            let wide = self.grants.iter().find(|wide| wide.point == grant.point);
            let calls: Vec<&Call<'_>> =
                past.iter().flat_map(|session| &session.calls).filter(|call| call.used.point == point).collect();
            let unknown = calls.iter().filter(|call| call.args.is_none()).count();
            if let (true, Some(wide)) = (unknown > 0, wide) {
                widen_subject(grant, wide);
            }
            if grant.point.kind == PointKind::Tool {
                narrow_arguments(grant, &calls);
            }
            if unknown > 0 && grant.point.kind != PointKind::Cell {
                let text = format!(
                    "of {unknown} of its crossings only a digest of the arguments was kept; what they were about stays as \
                     it was granted"
                );
                remarks.push(Remark { section: point.clone(), text });
            }
            narrow_budgets(grant, &point, past, &mut remarks);
        }
        self.keep_delegated(&mut manifest, past, &mut remarks);
        Tightened { manifest: manifest.with_fewest_parties(), remarks }
    }

    /// A point that a child asked for must be held, or the child is refused; so it stays although nobody used it.
    fn keep_delegated(&self, manifest: &mut Manifest, past: &[Past<'_>], remarks: &mut Vec<Remark>) {
        let delegated: BTreeSet<&str> = past.iter().flat_map(|session| session.delegated.iter().copied()).collect();
        let needed = |grant: &&ManifestGrant| delegated.contains(grant.point.to_string().as_str());
        let mut grants = Vec::new();
        for grant in &self.grants {
            if let Some(used) = manifest.grants.iter().find(|used| used.point == grant.point) {
                grants.push(used.clone());
            } else if needed(&grant) {
                grants.push(grant.clone());
                let text = "child cells were given it and did not use it; once they no longer ask for it, it can go";
                remarks.push(Remark { section: grant.point.to_string(), text: text.to_owned() });
            }
        }
        manifest.grants = grants;
    }
}

/// Puts back what the wider manifest says about paths, keys and URLs.
fn widen_subject(grant: &mut ManifestGrant, wide: &ManifestGrant) {
    let about = |caveat: &Caveat| {
        matches!(
            caveat,
            Caveat::Under(_)
                | Caveat::KeyPrefix(_)
                | Caveat::Schemes(_)
                | Caveat::Hosts(_)
                | Caveat::Ports(_)
                | Caveat::Private(_)
                | Caveat::Methods(_)
                | Caveat::Paths(_)
        )
    };
    grant.caveats.retain(|caveat| !about(caveat));
    grant.caveats.extend(wide.caveats.iter().filter(|caveat| about(caveat)).cloned());
}

/// Of each tool whose arguments are all known: which it was given, and what they were.
fn narrow_arguments(grant: &mut ManifestGrant, calls: &[&Call<'_>]) {
    let Names::Only(tools) = grant.ops.clone() else { return };
    for tool in tools.iter() {
        let calls = calls.iter().filter(|call| *call.used.op == **tool);
        let Some(given) = calls.map(|call| call.args.and_then(Value::as_map)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let names: BTreeSet<&str> = given.iter().copied().flatten().map(|(name, _)| name.as_str()).collect();
        if names.len() > MOST_ARGUMENTS {
            continue;
        }
        for name in &names {
            narrow_argument(grant, tool, name, &given);
        }
        grant.caveats.retain(|caveat| !matches!(caveat, Caveat::ArgumentNames(allowed) if allowed.op == *tool));
        let allowed = ArgumentNames { op: tool.clone(), names: Names::only(names) };
        grant.caveats.push(Caveat::ArgumentNames(Box::new(allowed)));
    }
}

/// What one call of a tool was given, by name.
type Given<'a> = &'a [(String, Value)];

fn narrow_argument(grant: &mut ManifestGrant, tool: &str, name: &str, given: &[Given<'_>]) {
    let values: Vec<&Value> = given
        .iter()
        .filter_map(|args| args.iter().find(|(known, _)| known == name).map(|(_, value)| value))
        .filter(|value| !value.is_undefined())
        .collect();
    let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
    let optional = values.len() < given.len();
    let found = if values.is_empty() { None } else { condition(&values) };
    let sort = found.as_ref().map(std::mem::discriminant);
    grant.caveats.retain_mut(|caveat| match caveat {
        Caveat::Argument(argument) if *argument.op == *tool && *argument.pointer == *pointer => {
            // All conditions on one argument are written in one table, which says once whether it may be missing.
            argument.optional = optional;
            Some(std::mem::discriminant(&argument.predicate)) != sort
        }
        _ => true,
    });
    if let Some(predicate) = found {
        let caveat = ArgumentCaveat { op: tool.into(), pointer: pointer.into(), optional, predicate };
        grant.caveats.push(Caveat::Argument(Box::new(caveat)));
    }
}

/// The narrowest condition of the manifest's language that all the values satisfy; `None` where none says anything.
fn condition(values: &[&Value]) -> Option<Predicate> {
    if values.iter().all(|value| matches!(value, Value::Int(_) | Value::Float(_))) {
        return range(values);
    }
    if let Some(listed) = listed(values) {
        return Some(Predicate::OneOf(listed));
    }
    if let Some(texts) = values.iter().map(|value| value.as_text()).collect::<Option<Vec<_>>>() {
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        return directory(&texts)
            .or_else(|| Some(Predicate::Length { min: 0, max: u64::try_from(longest).unwrap_or(u64::MAX) }));
    }
    let lists = values.iter().map(|value| value.as_list()).collect::<Option<Vec<_>>>()?;
    let items: Vec<&Value> = lists.into_iter().flatten().collect();
    let each = if items.is_empty() { None } else { condition(&items) };
    each.filter(|each| !matches!(each, Predicate::Each(_))).map(|each| Predicate::Each(Box::new(each)))
}

/// From the smallest of these numbers to the largest.
fn range(numbers: &[&Value]) -> Option<Predicate> {
    let extreme = |wanted: std::cmp::Ordering| {
        numbers.iter().copied().try_fold(None::<&Value>, |best, number| match best {
            None => Some(Some(number)),
            Some(best) => Some(Some(if number.compare_numbers(best)? == wanted { number } else { best })),
        })
    };
    let finite = numbers.iter().all(|number| number.as_f64().is_some_and(f64::is_finite));
    let (min, max) = (extreme(std::cmp::Ordering::Less)??, extreme(std::cmp::Ordering::Greater)??);
    let integer = numbers.iter().all(|number| matches!(number, Value::Int(_)));
    finite.then(|| Predicate::Range { min: Some(min.clone()), max: Some(max.clone()), integer })
}

/// The values themselves, where they are few, short and can be written in a manifest.
fn listed(values: &[&Value]) -> Option<Box<[Value]>> {
    let mut listed: Vec<Value> = Vec::new();
    for value in values {
        let short = match value {
            Value::Bool(_) => true,
            Value::Text(text) => text.len() <= LONGEST_VALUE,
            _ => false,
        };
        if !short || (listed.len() == MOST_VALUES && !listed.iter().any(|known| known.same(value))) {
            return None;
        }
        if !listed.iter().any(|known| known.same(value)) {
            listed.push((*value).clone());
        }
    }
    Some(listed.into())
}

/// The directory that all of these paths lie below, where they look like paths and it is not the root.
fn directory(texts: &[&str]) -> Option<Predicate> {
    let parts = |text: &'_ str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (first, rest) = texts.split_first()?;
    let mut shared = parts(first);
    // Of a path that stands alone, its directory.
    shared.pop();
    for text in rest {
        let other = parts(text);
        let same = shared.iter().zip(&other).take_while(|(left, right)| left == right).count();
        shared.truncate(same.min(other.len().saturating_sub(1)));
    }
    let shared = shared.join("/");
    let prefix = ArgumentPath::parse(&shared).ok().filter(|_| !shared.is_empty())?;
    texts.iter().all(|text| prefix.holds(text)).then(|| Predicate::Under([prefix].into()))
}

/// Lowers each budget that there is to what the largest session spent.
fn narrow_budgets(grant: &mut ManifestGrant, point: &str, past: &[Past<'_>], remarks: &mut Vec<Remark>) {
    let of = |session: &Past<'_>, counts: fn(&Subject<'_>) -> bool| {
        let calls = session.calls.iter().filter(|call| call.used.point == point && counts(&call.used.subject));
        u64::try_from(calls.count()).unwrap_or(u64::MAX)
    };
    let most = |counts: fn(&Subject<'_>) -> bool| past.iter().map(|session| of(session, counts)).max().unwrap_or(0);
    let calls = most(|subject| !matches!(subject, Subject::Continued));
    let children = most(|subject| matches!(subject, Subject::Child { .. }));
    let depths = past.iter().flat_map(|session| &session.calls).filter_map(|call| match call.used.subject {
        Subject::Child { depth } if call.used.point == point => Some(depth),
        _ => None,
    });
    let depth = depths.max();
    // A session that spent nothing on the point has no number, and needs none.
    let bytes = past
        .iter()
        .filter(|session| session.calls.iter().any(|call| call.used.point == point))
        .map(|session| session.bytes.iter().find(|(known, _)| *known == point).map(|(_, bytes)| *bytes))
        .try_fold(0, |most, bytes| Some(bytes?.max(most)));
    for caveat in &mut grant.caveats {
        match caveat {
            Caveat::Calls(limit) => *limit = calls.min(*limit),
            Caveat::Children(limit) => *limit = children.min(*limit),
            Caveat::Depth(limit) => *limit = depth.unwrap_or(*limit).min(*limit),
            Caveat::Bytes(limit) => match bytes {
                Some(bytes) => *limit = bytes.min(*limit),
                None => {
                    let text = "several of its crossings were in flight at once, or what they moved was not kept; its \
                                bytes stay as they were granted";
                    remarks.push(Remark { section: point.to_owned(), text: text.to_owned() });
                }
            },
            _ => {}
        }
    }
}
