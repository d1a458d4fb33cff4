//! Looks through parsed files for doors.

use std::collections::{BTreeSet, HashMap, HashSet};

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::doors::{self, Door};
use crate::source::{self, Source};

/// A place in a file that leads through a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The file, from the crate's directory.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Where it leads.
    pub door: Door,
    /// What is written there, as resolved.
    pub what: String,
}

type Path = Vec<String>;
type Names = HashMap<String, Vec<Path>>;

/// Every door that files lead through, whatever it was called on the way.
///
/// Names are resolved through the imports of their file, and through imports and type aliases of other files that name a
/// module or type behind which doors lie. Code in macros is read as tokens. A name that stands for two things is
/// taken for each.
pub fn through(sources: &[Source]) -> Vec<Sighting> {
    let imports: Vec<Names> = sources.iter().map(|source| imports(&source.syntax)).collect();
    let hiding = hiding(&imports);
    let mut sightings = Vec::new();
    for (source, imports) in sources.iter().zip(&imports) {
        if source::is_test_only(&source.syntax.attrs) {
            continue;
        }
        let mut look = Look { file: &source.name, imports, hiding: &hiding, sightings: Vec::new() };
        look.visit_file(&source.syntax);
        sightings.append(&mut look.sightings);
    }
    sightings.dedup();
    sightings
}

/// Names under which some file knows a module or type that has doors below it, such as `time` or `Instant`.
fn hiding(imports: &[Names]) -> Names {
    let mut hiding = Names::new();
    for (name, paths) in imports.iter().flatten() {
        let behind = paths.iter().filter(|path| doors::below(path).is_some()).cloned();
        hiding.entry(name.clone()).or_default().extend(behind);
    }
    hiding.retain(|_, paths| !paths.is_empty());
    hiding
}

/// What the names in a file stand for.
fn imports(file: &syn::File) -> Names {
    struct Imports(Names);
    impl Imports {
        fn add(&mut self, name: String, path: Path) {
            self.0.entry(name).or_default().push(path);
        }
    }
    impl<'ast> Visit<'ast> for Imports {
        fn visit_item(&mut self, item: &'ast syn::Item) {
            if !source::is_test_only(source::attributes(item)) {
                visit::visit_item(self, item);
            }
        }
        fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
            leaves(&item.tree, &mut Vec::new(), &mut |leaf| {
                if let Leaf::Name(path, name, _) = leaf {
                    self.add(name, path);
                }
            });
        }
        fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
            if let Some((_, name)) = &item.rename {
                self.add(word(name), vec![word(&item.ident)]);
            }
        }
        fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
            if let syn::Type::Path(path) = &*item.ty {
                self.add(word(&item.ident), segments(&path.path));
            }
        }
    }
    let mut imports = Imports(Names::new());
    imports.visit_file(file);
    imports.0
}

enum Leaf {
    /// A path, and the name it gets.
    Name(Path, String, Span),
    Everything(Path, Span),
}

fn leaves(tree: &syn::UseTree, prefix: &mut Path, each: &mut impl FnMut(Leaf)) {
    let mut name = |ident: &syn::Ident, called: Option<&syn::Ident>| {
        let mut path = prefix.clone();
        // `use std::fs::{self}` names the module.
        if ident != "self" || path.is_empty() {
            path.push(word(ident));
        }
        let called = called.map(word).or(path.last().cloned()).unwrap_or_default();
        each(Leaf::Name(path, called, ident.span()));
    };
    match tree {
        syn::UseTree::Path(path) => {
            prefix.push(word(&path.ident));
            leaves(&path.tree, prefix, each);
            prefix.pop();
        }
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, each)),
        syn::UseTree::Name(leaf) => name(&leaf.ident, None),
        syn::UseTree::Rename(leaf) => name(&leaf.ident, Some(&leaf.rename)),
        syn::UseTree::Glob(glob) => each(Leaf::Everything(prefix.clone(), glob.star_token.span())),
    }
}

fn segments(path: &syn::Path) -> Path {
    path.segments.iter().map(|segment| word(&segment.ident)).collect()
}

/// A name as it is meant: `r#fs` is `fs`.
fn word(ident: &proc_macro2::Ident) -> String {
    ident.unraw().to_string()
}

struct Look<'a> {
    file: &'a str,
    imports: &'a Names,
    hiding: &'a Names,
    sightings: Vec<Sighting>,
}

impl Look<'_> {
    fn see(&mut self, door: Door, what: impl Into<String>, span: Span) {
        let sighting = Sighting { file: self.file.to_owned(), line: span.start().line, door, what: what.into() };
        self.sightings.push(sighting);
    }

    fn path(&mut self, path: Path, span: Span) {
        if let Some((door, path)) = self.meanings(path).into_iter().find_map(|path| Some((behind(&path)?, path))) {
            self.see(door, path.join("::"), span);
        }
    }

    /// All of a module is taken in: whatever lies behind it comes along.
    fn everything(&mut self, path: Path, span: Span) {
        let door = |path: &Path| doors::of_path(path).or_else(|| doors::below(path));
        if let Some((door, path)) = self.meanings(path).into_iter().find_map(|path| Some((door(&path)?, path))) {
            self.see(door, format!("{}::*", path.join("::")), span);
        }
    }

    /// What a path may stand for, itself included.
    fn meanings(&self, path: Path) -> BTreeSet<Path> {
        /// More than names ever stand for; ends circles that the compiler would refuse.
        const MOST: usize = 256;
        let mut meanings = BTreeSet::new();
        let mut open = vec![path];
        while let Some(path) = open.pop() {
            let Some(first) = path.first() else { continue };
            if let Some(imported) = self.imports.get(first) {
                open.extend(imported.iter().map(|to| [to, &path[1..]].concat()));
            }
            let ours = matches!(first.as_str(), "crate" | "self" | "super") || first.starts_with("lockgate_");
            let reach = if ours { path.len() } else { 1 };
            for (at, name) in path.iter().enumerate().take(reach) {
                open.extend(self.hiding.get(name).into_iter().flatten().map(|to| [to, &path[at + 1..]].concat()));
            }
            if meanings.len() < MOST {
                open.retain(|path| !meanings.contains(path));
                meanings.insert(path);
            } else {
                break;
            }
        }
        meanings
    }

    fn unsafety(&mut self, token: &impl Spanned, what: &str) {
        self.see(Door::Unsafe, what, token.span());
    }

    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == wanted);
        let colons = |at: usize| is(at, ':') && is(at + 1, ':');
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let (start, span) = (at, first.span());
                    let mut path = vec![word(first)];
                    while colons(at + 1)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        path.push(word(next));
                        at += 3;
                    }
                    let group = |at: usize, wanted: Delimiter| matches!(tokens.get(at), Some(TokenTree::Group(g)) if g.delimiter() == wanted);
                    let name = path.last().cloned().unwrap_or_default();
                    let method = start > 0 && is(start - 1, '.') && group(at + 1, Delimiter::Parenthesis);
                    if method && let Some(door) = doors::of_method(&name) {
                        self.see(door, format!(".{name}()"), span);
                    }
                    if is(at + 1, '!')
                        && let Some(door) = doors::of_macro(&name)
                    {
                        self.see(door, format!("{name}!"), span);
                    }
                    if path == ["unsafe"] {
                        self.see(Door::Unsafe, "unsafe", span);
                    }
                    if colons(at + 1) && (is(at + 3, '*') || group(at + 3, Delimiter::Brace)) {
                        self.everything(path, span);
                    } else {
                        self.path(path, span);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

/// The door of a resolved path, which may also name a method of the standard library by its type.
fn behind(path: &Path) -> Option<Door> {
    let by_method = || match path.as_slice() {
        [std, .., name] if std == "std" && path.len() > 2 => doors::of_method(name),
        _ => None,
    };
    doors::of_path(path).or_else(by_method)
}

impl<'ast> Visit<'ast> for Look<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !source::is_test_only(source::attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        if !source::is_test_only(source::impl_attributes(item)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_trait_item(&mut self, item: &'ast syn::TraitItem) {
        if !source::is_test_only(source::trait_attributes(item)) {
            visit::visit_trait_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut found = HashSet::new();
        leaves(&item.tree, &mut Vec::new(), &mut |leaf| match leaf {
            Leaf::Name(path, _, span) if found.insert(path.clone()) => self.path(path, span),
            Leaf::Name(..) => {}
            Leaf::Everything(path, span) => self.everything(path, span),
        });
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        self.path(vec![word(&item.ident)], item.ident.span());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(segments(path), path.span());
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        // `<Instant>::now`
        if let Some(qself) = &path.qself
            && let syn::Type::Path(inner) = &*qself.ty
        {
            let whole = [segments(&inner.path), segments(&path.path).split_off(qself.position)].concat();
            self.path(whole, path.span());
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some(door) = doors::of_method(&word(&call.method)) {
            self.see(door, format!(".{}()", call.method), call.method.span());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let name = mac.path.segments.last().map(|segment| word(&segment.ident)).unwrap_or_default();
        if let Some(door) = doors::of_macro(&name) {
            self.see(door, format!("{name}!"), mac.span());
        }
        visit::visit_macro(self, mac);
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.tokens(tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        if ["unsafe", "no_mangle", "export_name", "link_section"].iter().any(|name| attribute.path().is_ident(name)) {
            self.unsafety(attribute, "an unsafe attribute");
        }
        visit::visit_attribute(self, attribute);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.unsafety(&block.unsafe_token, "unsafe");
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let syn::Safety::Unsafe(token) = &signature.safety {
            self.unsafety(token, "unsafe fn");
        }
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = &item.unsafety {
            self.unsafety(token, "unsafe impl");
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        if let Some(token) = &item.unsafety {
            self.unsafety(token, "unsafe trait");
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.see(Door::System, "extern functions", item.abi.span());
        visit::visit_item_foreign_mod(self, item);
    }
}
