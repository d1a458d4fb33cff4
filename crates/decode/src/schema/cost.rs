//! What checking a value against a schema can cost, from the schema alone.

use super::{SchemaError, plain};
use serde_json::Value as Json;
use std::collections::HashMap;

/// How often a check may look at one value. More is refused when the schema is compiled.
const MOST_LOOKS: u64 = 100_000;
/// Schemas that one value is checked against within one another: the engine calls itself for each.
const MOST_NESTED: usize = 48;
/// Times a recursive schema can be looked at again before its engine remembers the result.
const BEFORE_REMEMBERED: u64 = 16;

/// Keywords with one schema for the same value.
const SAME: [&str; 5] = ["not", "if", "then", "else", "propertyNames"];
/// Keywords with a list of schemas for the same value.
const SAME_LIST: [&str; 3] = ["allOf", "anyOf", "oneOf"];
/// Keywords with a table of schemas for the same value.
const SAME_TABLE: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords with a schema, or a list of them, for the value's parts.
const PARTS: [&str; 7] = [
    "additionalProperties",
    "additionalItems",
    "items",
    "prefixItems",
    "contains",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords with a table of schemas for the value's parts.
const PARTS_TABLE: [&str; 2] = ["properties", "patternProperties"];
/// Ways to name a schema that depend on more than the place where it stands. `$anchor` gives a name that no reference may use, and so
/// names nothing.
const OTHER_NAMES: [&str; 4] = ["$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"];

/// The cost of one look at one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// How often a check looks at one value at most.
    pub(super) looks: u64,
    /// Patterns.
    pub(super) patterns: u64,
    /// Whether the schema leads back to itself in more than one way, so that telling the place of an error could take as
    /// long as there are ways through it.
    pub(super) branches: bool,
}

impl Cost {
    pub(super) fn of(schema: &Json) -> Result<Cost, SchemaError> {
        let mut graph =
            Graph { root: schema, by_place: HashMap::new(), nodes: Vec::new(), patterns: 0, waiting: Vec::new() };
        graph.read_all()?;
        graph.cost()
    }
}

/// A schema within the schema.
struct Node {
    /// Looks at the value that it takes itself: one, and one for every 16 alternatives of an `enum`.
    own: u64,
    /// The schemas for the same value, then those for its parts.
    next: Vec<usize>,
    /// How many of them are for the same value.
    same: usize,
}

impl Node {
    fn same(&self) -> &[usize] {
        self.next.get(..self.same).unwrap_or_default()
    }

    fn all(&self) -> &[usize] {
        &self.next
    }
}

struct Graph<'s> {
    root: &'s Json,
    /// By the address of a schema in the document, which references share.
    by_place: HashMap<*const Json, usize>,
    nodes: Vec<Node>,
    patterns: u64,
    /// Schemas that were found and not read yet. A list, so that a chain of references takes no stack.
    waiting: Vec<(usize, &'s Json)>,
}

impl<'s> Graph<'s> {
    fn read_all(&mut self) -> Result<(), SchemaError> {
        self.place(self.root);
        while let Some((number, schema)) = self.waiting.pop() {
            self.read(number, schema)?;
        }
        Ok(())
    }

    /// The number of a schema.
    fn place(&mut self, schema: &'s Json) -> usize {
        let next = self.nodes.len();
        let number = *self.by_place.entry(schema).or_insert(next);
        if number == next {
            self.nodes.push(Node { own: 1, next: Vec::new(), same: 0 });
            self.waiting.push((number, schema));
        }
        number
    }

    /// Whether references within this schema would be resolved against it, and not against the root: `id` does so in old drafts,
    /// and which draft it is the schema's author says.
    fn moves_base(&self, name: &str, value: &Json, schema: &Json) -> bool {
        let is_id = name == "$id" || (name == "id" && value.is_string());
        is_id && !std::ptr::eq(schema, self.root)
    }

    fn read(&mut self, number: usize, schema: &'s Json) -> Result<(), SchemaError> {
        let Json::Object(keywords) = schema else { return Ok(()) };
        let (mut same, mut parts, mut own) = (Vec::new(), Vec::new(), 1);
        for (keyword, value) in keywords {
            let name = keyword.as_str();
            if name == "$ref" {
                let target = self.referred(value)?;
                same.push(self.place(target));
            } else if OTHER_NAMES.contains(&name) || self.moves_base(name, value, schema) {
                return Err(self.unfollowed(value));
            } else if SAME.contains(&name) {
                same.push(self.place(value));
            } else if SAME_LIST.contains(&name) {
                same.extend(value.as_array().into_iter().flatten().map(|item| self.place(item)));
            } else if SAME_TABLE.contains(&name) {
                same.extend(value.as_object().into_iter().flatten().map(|(_, item)| self.place(item)));
            } else if PARTS.contains(&name) {
                match value {
                    Json::Array(items) => parts.extend(items.iter().map(|item| self.place(item))),
                    one => parts.push(self.place(one)),
                }
            } else if PARTS_TABLE.contains(&name) {
                let table = value.as_object().into_iter().flatten();
                parts.extend(table.map(|(_, item)| self.place(item)));
                if name == "patternProperties" {
                    self.patterns += value.as_object().map_or(0, serde_json::Map::len) as u64;
                }
            } else if name == "enum" {
                own += value.as_array().map_or(0, Vec::len) as u64 / 16;
            } else if name == "pattern" {
                self.patterns += 1;
            }
        }
        if let Some(node) = self.nodes.get_mut(number) {
            let count = same.len();
            same.append(&mut parts);
            *node = Node { own, next: same, same: count };
        }
        Ok(())
    }

    fn referred(&self, value: &Json) -> Result<&'s Json, SchemaError> {
        // A percent sign would let the engine read another place than is read here.
        let place = value.as_str().and_then(|text| text.strip_prefix('#')).filter(|place| !place.contains('%'));
        place.and_then(|place| self.root.pointer(place)).ok_or_else(|| self.unfollowed(value))
    }

    fn unfollowed(&self, value: &Json) -> SchemaError {
        let found = match value {
            Json::String(text) => format!("`{}`", plain(text, super::MOST_SHOWN)),
            _ => "something that is no text".to_owned(),
        };
        let mut place = Vec::new();
        way_to(self.root, value, &mut place);
        let pointer = place.iter().map(|key| format!("/{}", key.replace('~', "~0").replace('/', "~1")));
        SchemaError::Reference { found, pointer: super::pointer(&pointer.collect::<String>()) }
    }

    fn cost(&self) -> Result<Cost, SchemaError> {
        let groups = self.groups();
        let mut sizes = HashMap::<usize, u64>::new();
        for group in &groups {
            *sizes.entry(*group).or_default() += 1;
        }
        let (mut recursive, mut branches) = (false, false);
        for (number, node) in self.nodes.iter().enumerate() {
            let inside =
                |steps: &[usize]| steps.iter().filter(|step| get(&groups, **step) == get(&groups, number)).count();
            let (same, all) = (inside(node.same()), inside(node.all()));
            recursive |= all > 0;
            branches |= same > 1 || (same == 1 && all > 1);
        }
        // A schema that leads back to itself for one value is one look: the engine cuts it off.
        let (looks, nested) = self.paths(Node::same);
        if nested > MOST_NESTED {
            return Err(SchemaError::TooLarge("has over 48 schemas within one another for one value"));
        }
        let looks = if recursive {
            let group = sizes.values().copied().max().unwrap_or(1);
            looks.saturating_mul(group).saturating_mul(BEFORE_REMEMBERED)
        } else {
            self.paths(Node::all).0
        };
        if looks > MOST_LOOKS {
            return Err(SchemaError::TooLarge("would look at one value over 100,000 times"));
        }
        Ok(Cost { looks, patterns: self.patterns, branches })
    }

    /// The most looks that come of one schema along the given steps, and the longest way. Steps back are left out.
    fn paths(&self, steps: fn(&Node) -> &[usize]) -> (u64, usize) {
        let mut known: Vec<Option<(u64, usize)>> = vec![None; self.nodes.len()];
        let mut open = vec![false; self.nodes.len()];
        let mut most = (0, 0);
        for start in 0..self.nodes.len() {
            // Depth first, with a list in place of the stack: a schema, and how many of its steps were taken.
            let mut way = vec![(start, 0_usize)];
            while let Some((number, taken)) = way.pop() {
                let Some(node) = self.nodes.get(number) else { continue };
                if taken == 0 && known.get(number).is_some_and(Option::is_some) {
                    continue;
                }
                set(&mut open, number, true);
                if let Some(step) = steps(node).get(taken) {
                    way.push((number, taken + 1));
                    if !get(&open, *step) {
                        way.push((*step, 0));
                    }
                    continue;
                }
                let (mut looks, mut nested) = (node.own, 0);
                for (more, deep) in steps(node).iter().filter_map(|step| known.get(*step).copied().flatten()) {
                    looks = looks.saturating_add(more);
                    nested = nested.max(deep);
                }
                set(&mut open, number, false);
                set(&mut known, number, Some((looks, nested + 1)));
                most = (most.0.max(looks), most.1.max(nested + 1));
            }
        }
        most
    }

    /// For each schema the group of those that it leads to and that lead back to it: Tarjan's algorithm, without recursion.
    fn groups(&self) -> Vec<usize> {
        const NONE: usize = usize::MAX;
        let count = self.nodes.len();
        let (mut index, mut low, mut group) = (vec![NONE; count], vec![NONE; count], vec![NONE; count]);
        let (mut next_index, mut stack) = (0, Vec::new());
        for start in 0..count {
            let mut way = vec![(start, 0_usize)];
            while let Some((number, taken)) = way.pop() {
                let Some(node) = self.nodes.get(number) else { continue };
                if taken == 0 {
                    if get(&index, number) != NONE {
                        continue;
                    }
                    set(&mut index, number, next_index);
                    set(&mut low, number, next_index);
                    next_index += 1;
                    stack.push(number);
                }
                // The step that was taken last is done.
                if let Some(done) = taken.checked_sub(1).and_then(|step| node.all().get(step))
                    && get(&group, *done) == NONE
                {
                    let least = get(&low, number).min(get(&low, *done));
                    set(&mut low, number, least);
                }
                if let Some(step) = node.all().get(taken) {
                    way.push((number, taken + 1));
                    if get(&index, *step) == NONE {
                        way.push((*step, 0));
                    }
                    continue;
                }
                if get(&low, number) == get(&index, number) {
                    while let Some(member) = stack.pop() {
                        set(&mut group, member, number);
                        if member == number {
                            break;
                        }
                    }
                }
            }
        }
        group
    }
}

/// The keys and indices that lead to a value, found by where it stands; only for refusals.
fn way_to(from: &Json, wanted: &Json, way: &mut Vec<String>) -> bool {
    if std::ptr::eq(from, wanted) {
        return true;
    }
    let mut inside = |key: String, value: &Json| {
        way.push(key);
        let found = way_to(value, wanted, way);
        if !found {
            way.pop();
        }
        found
    };
    match from {
        Json::Array(items) => items.iter().enumerate().any(|(index, item)| inside(index.to_string(), item)),
        Json::Object(entries) => entries.iter().any(|(key, value)| inside(key.clone(), value)),
        _ => false,
    }
}

fn get<T: Copy + Default>(list: &[T], at: usize) -> T {
    list.get(at).copied().unwrap_or_default()
}

fn set<T>(list: &mut [T], at: usize, value: T) {
    if let Some(place) = list.get_mut(at) {
        *place = value;
    }
}
