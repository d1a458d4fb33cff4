//! The files that a target is compiled from, found as the compiler finds them: from its root along `mod` and `include!`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, File, Ident, ImplItem, Item, ItemMod, Macro, Meta, TraitItem};

/// A file, parsed.
pub struct Source {
    /// Path from the crate's directory, with `/` between names.
    pub name: String,
    /// What it holds.
    pub syntax: File,
}

/// Every file that the target with this root is compiled from when it is not a test.
///
/// Says what is wrong with a file that cannot be read or parsed, or that is named in a way which is not understood: a
/// file that was not looked at is not known to be without doors.
pub fn of_target(crate_directory: &Path, root: &Path) -> Result<Vec<Source>, String> {
    let mut files = BTreeMap::new();
    read(crate_directory, root, root.parent().unwrap_or(root), &mut files)?;
    Ok(files.into_values().collect())
}

/// `text` as if it were the file `name`.
pub fn of_text(name: &str, text: &str) -> Result<Source, String> {
    let syntax = syn::parse_file(text).map_err(|error| format!("`{name}` cannot be parsed: {error}"))?;
    Ok(Source { name: name.to_owned(), syntax })
}

fn read(
    crate_directory: &Path,
    file: &Path,
    children: &Path,
    files: &mut BTreeMap<PathBuf, Source>,
) -> Result<(), String> {
    if files.contains_key(file) {
        return Ok(());
    }
    let name = file.strip_prefix(crate_directory).unwrap_or(file).to_string_lossy().replace('\\', "/");
    let text = std::fs::read_to_string(file).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    let source = of_text(&name, &text)?;
    let mut links = Links { directory: file.parent().unwrap_or(file), inside: children.to_owned(), found: Vec::new() };
    links.visit_file(&source.syntax);
    let found = links.found;
    files.insert(file.to_owned(), source);
    for link in found {
        let (next, children) = link.map_err(|problem| format!("`{name}`: {problem}"))?;
        read(crate_directory, &next, &children, files)?;
    }
    Ok(())
}

/// A file that another leads to, and the directory of its own modules.
type Link = Result<(PathBuf, PathBuf), String>;

struct Links<'a> {
    directory: &'a Path,
    /// Where the modules of the module at hand are.
    inside: PathBuf,
    found: Vec<Link>,
}

impl Links<'_> {
    fn module(&mut self, name: &Ident, attributes: &[Attribute]) {
        if let Some(path) = attributes.iter().find(|attribute| attribute.path().is_ident("path")) {
            self.found.push(match literal(&path.meta) {
                Some(path) => {
                    let file = self.directory.join(path);
                    let children = file.parent().unwrap_or(&file).to_owned();
                    Ok((file, children))
                }
                None => Err("a `path` attribute that is not plain text".to_owned()),
            });
            return;
        }
        let name = name.unraw();
        let children = self.inside.join(name.to_string());
        let beside = self.inside.join(format!("{name}.rs"));
        let file = if beside.is_file() { beside } else { children.join("mod.rs") };
        self.found.push(Ok((file, children)));
    }
}

impl<'ast> Visit<'ast> for Links<'_> {
    fn visit_file(&mut self, file: &'ast File) {
        if !is_test_only(&file.attrs) {
            visit::visit_file(self, file);
        }
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let Some((_, items)) = &module.content else { return self.module(&module.ident, &module.attrs) };
        let outside = self.inside.join(module.ident.unraw().to_string());
        let outside = std::mem::replace(&mut self.inside, outside);
        items.iter().for_each(|item| self.visit_item(item));
        self.inside = outside;
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        if !mac.path.is_ident("include") {
            return;
        }
        self.found.push(match mac.parse_body::<syn::LitStr>() {
            Ok(path) => Ok((self.directory.join(path.value()), self.inside.clone())),
            // What a build script wrote is data of this build; the build script itself is looked at.
            Err(_) if mac.tokens.to_string().contains("\"OUT_DIR\"") => return,
            Err(_) => Err("an `include!` of something that is not plain text".to_owned()),
        });
    }
}

fn literal(meta: &Meta) -> Option<String> {
    match &meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

/// Whether these attributes leave the item out of everything but tests: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test, …))]`.
pub fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg") && attribute.parse_args::<Meta>().is_ok_and(|meta| needs_test(&meta))
    })
}

fn needs_test(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => {
            let parts = syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated;
            list.parse_args_with(parts).is_ok_and(|parts| parts.iter().any(needs_test))
        }
        _ => false,
    }
}

/// The attributes of any item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The attributes of an item of an `impl`.
pub fn impl_attributes(item: &ImplItem) -> &[Attribute] {
    match item {
        ImplItem::Const(item) => &item.attrs,
        ImplItem::Fn(item) => &item.attrs,
        ImplItem::Macro(item) => &item.attrs,
        ImplItem::Type(item) => &item.attrs,
        _ => &[],
    }
}

/// The attributes of an item of a `trait`.
pub fn trait_attributes(item: &TraitItem) -> &[Attribute] {
    match item {
        TraitItem::Const(item) => &item.attrs,
        TraitItem::Fn(item) => &item.attrs,
        TraitItem::Macro(item) => &item.attrs,
        TraitItem::Type(item) => &item.attrs,
        _ => &[],
    }
}
