use super::class::{Field, Form, Kind};
use super::{Node, Object, Parts, template, time};
use crate::budget::Refused;
use crate::place::Place;
use lockgate_authority::{ReasonCode, Value};

/// Checks what an object is made from against its type; the object stands at `place`.
pub(super) fn check(object: &Object, place: &mut Place, refused: &mut Vec<Refused>) {
    let mut check = Check { place, refused };
    match (&object.class.form, &object.parts) {
        (Form::Fields(declared), Parts::Fields(fields)) => {
            let here = check.place.enter("kwargs");
            check.template_format(fields);
            check.fields(declared, fields);
            check.place.leave(here);
        }
        (Form::Single(kind), Parts::Values(values)) => match values.as_slice() {
            [value] => check.item("args", 0, kind, value),
            // An empty set is written without its list.
            [] if matches!(kind, Kind::List(_)) => {}
            _ => check.count(),
        },
        (Form::Positional(least, kinds), Parts::Values(values)) => {
            if values.len() < *least || values.len() > kinds.len() {
                check.count();
            }
            for (index, (kind, value)) in kinds.iter().zip(values).enumerate() {
                check.item("args", index, kind, value);
            }
        }
        (Form::DateTime, Parts::Iso(text)) => {
            if !time::is_iso(text) {
                check.refuse_at("args", ReasonCode::FieldRefused, "a date or time that does not exist");
            }
        }
        (Form::DateTime | Form::Date, Parts::Values(values)) => {
            let (day, rest) = values.split_at_checked(3).unwrap_or((values, &[]));
            let most = if matches!(object.class.form, Form::Date) { 0 } else { time::OF_DAY.len() };
            if !time::is_day(day) || rest.len() > most {
                check.refuse_at("args", ReasonCode::FieldRefused, "a date or time that does not exist");
            }
            for (index, (kind, value)) in time::OF_DAY.iter().zip(rest).enumerate() {
                check.item("args", index + 3, kind, value);
            }
        }
        _ => check.refuse(ReasonCode::FieldRefused, "an object that is not made in this way"),
    }
}

struct Check<'c> {
    place: &'c mut Place,
    refused: &'c mut Vec<Refused>,
}

impl Check<'_> {
    fn refuse(&mut self, code: ReasonCode, found: &'static str) {
        if self.refused.len() < super::MOST_REFUSED {
            self.refused.push(Refused { code, pointer: self.place.pointer().to_owned(), found });
        }
    }

    fn refuse_at(&mut self, key: &str, code: ReasonCode, found: &'static str) {
        let here = self.place.enter(key);
        self.refuse(code, found);
        self.place.leave(here);
    }

    fn count(&mut self) {
        self.refuse_at("args", ReasonCode::FieldRefused, "values of another number than declared");
    }

    /// Whatever the type: a language of templates that runs code is not named.
    fn template_format(&mut self, fields: &[(String, Node)]) {
        let format = fields.iter().find(|(key, _)| key == "template_format");
        let is_known = |node: &Node| matches!(node, Node::Text(format) if template::FORMATS.contains(&format.as_str()));
        if format.is_some_and(|(_, node)| !is_known(node)) {
            self.refuse_at("template_format", ReasonCode::CodeRefused, "a language of templates that runs code");
        }
    }

    fn fields(&mut self, declared: &[Field], fields: &[(String, Node)]) {
        for (key, node) in fields {
            let here = self.place.enter(key);
            match declared.iter().find(|field| field.name == key) {
                None => self.refuse(ReasonCode::FieldRefused, "a field that the type does not have"),
                Some(Field { kind: Kind::Template, .. }) => self.template(node, fields),
                // Refused already, as what it is.
                Some(_) if key == "template_format" => {}
                Some(field) => self.value(&field.kind, node),
            }
            self.place.leave(here);
        }
        for field in declared {
            if field.is_needed && !fields.iter().any(|(key, _)| key == field.name) {
                self.refuse_at(field.name, ReasonCode::FieldRefused, "a field that is missing");
            }
        }
    }

    fn template(&mut self, node: &Node, fields: &[(String, Node)]) {
        let format = fields.iter().find_map(|(key, node)| match node {
            Node::Text(format) if key == "template_format" => Some(format.as_str()),
            _ => None,
        });
        match node {
            Node::Text(text) if template::is_plain(text, format.unwrap_or("f-string")) => {}
            // The language was refused already.
            Node::Text(_) if format.is_some_and(|format| !template::FORMATS.contains(&format)) => {}
            Node::Text(_) => self.refuse(ReasonCode::CodeRefused, "a template that reaches into its values"),
            _ => self.refuse(ReasonCode::FieldRefused, OTHER_KIND),
        }
    }

    fn value(&mut self, kind: &Kind, node: &Node) {
        match (kind, node) {
            // What was refused where it stands is null from then on.
            (Kind::Any, _) => {}
            (Kind::List(kind), Node::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let here = self.place.enter_index(index);
                    self.value(kind, item);
                    self.place.leave(here);
                }
            }
            (Kind::Map(kind), Node::Map(entries)) => {
                for (key, node) in entries {
                    let here = self.place.enter(key);
                    self.value(kind, node);
                    self.place.leave(here);
                }
            }
            (Kind::Record(declared), Node::Map(fields)) => self.fields(declared, fields),
            (Kind::Either(kinds), node) => self.either(kinds, node),
            (kind, node) if is_of(kind, node) => {}
            _ => self.refuse(ReasonCode::FieldRefused, OTHER_KIND),
        }
    }

    /// One of the kinds must fit. Where one fits in outline, its refusals are the ones that help.
    fn either(&mut self, kinds: &[Kind], node: &Node) {
        let mut best: Option<Vec<Refused>> = None;
        for kind in kinds {
            let mut refused = Vec::new();
            Check { place: &mut *self.place, refused: &mut refused }.value(kind, node);
            if refused.is_empty() {
                return;
            }
            let is_inside = refused.iter().all(|refused| refused.pointer != self.place.pointer());
            if is_inside && best.is_none() {
                best = Some(refused);
            }
        }
        match best {
            Some(refused) => {
                let room = super::MOST_REFUSED.saturating_sub(self.refused.len());
                self.refused.extend(refused.into_iter().take(room));
            }
            None => self.refuse(ReasonCode::FieldRefused, OTHER_KIND),
        }
    }

    fn item(&mut self, list: &str, index: usize, kind: &Kind, node: &Node) {
        let here = self.place.enter(list);
        self.place.enter_index(index);
        self.value(kind, node);
        self.place.leave(here);
    }
}

const OTHER_KIND: &str = "a field of another kind than declared";

/// Whether a node that holds no others is of a kind.
fn is_of(kind: &Kind, node: &Node) -> bool {
    match (kind, node) {
        (Kind::Null, Node::Null) | (Kind::Bool, Node::Bool(_)) | (Kind::Int, Node::Int(_)) => true,
        (Kind::Text, Node::Text(_)) => true,
        (Kind::Within(least, most), Node::Int(number)) => (least..=most).contains(&number),
        (Kind::Checked(check), Node::Text(text)) => check(text),
        (Kind::OneOf(texts), Node::Text(text)) => texts.contains(&text.as_str()),
        // Data that looks like an object is a map of anything.
        (Kind::Map(Kind::Any), Node::Escaped(Value::Map(_))) => true,
        (Kind::Object(names), Node::Object(object)) => names.contains(&object.class.name),
        _ => false,
    }
}
