//! What the org knows of objects and fields: `schema.txt` to begin with, `…__c` as it is used.
//!
//! Every name that reaches an SQL statement comes from here. A name from outside gets in only as a
//! custom object or field, and only if it is a plain identifier ([`is_custom_name`]).
//!
//! A field that holds an id has a relationship name, by which queries and loads reach the record
//! behind it. A custom field is text: `Plant__r` stands for the record of the object `Plant__c`, or
//! of the standard object `Plant`, whose id is kept in the field `Plant__c`.

use std::collections::HashMap;

use crate::error::OrgError;
use crate::ids;

const BUILT_IN: &str = include_str!("schema.txt");
/// The longest text a field created on first use takes: the vendor's bound for long text areas is
/// 131,072, but a plain one holds this much.
const CUSTOM_TEXT: usize = 32_768;
/// As many custom fields as the largest edition gives one object.
pub(crate) const CUSTOM_FIELDS: usize = 800;

/// The practice user, whom every org begins with.
pub(crate) fn me() -> String {
    ids::long("005", 1)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    /// Text of at most so many characters.
    Text(usize),
    Picklist(Picklist),
    Email,
    Boolean,
    Int,
    /// A number of so many digits, `scale` of them behind its point.
    Number {
        precision: usize,
        scale: usize,
    },
    Date,
    DateTime,
    /// A body. It is neither loaded with the other fields nor found by bulk queries.
    Base64,
    /// An address as one piece, made of the fields that hold its parts. Bulk queries refuse it.
    Address,
    /// The id of a record of one of these objects.
    Reference(Vec<String>),
}

/// The values of a picklist; only a restricted one takes no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picklist {
    pub(crate) values: Vec<String>,
    pub(crate) restricted: bool,
}

/// What becomes of a record when the one that a field of it refers to is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDelete {
    /// The field is emptied.
    Clear,
    /// The record is deleted too.
    Cascade,
    /// It cannot be: as long as there is this record, the other stays.
    Refuse,
}

impl Kind {
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Picklist(_) | Self::Email)
    }

    /// The type of the column. Text compares as SOQL does, without regard to case.
    pub(crate) fn column_type(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Picklist(_) | Self::Email => "TEXT COLLATE NOCASE",
            Self::Date | Self::Reference(_) | Self::Address => "TEXT",
            Self::Base64 => "BLOB",
            Self::Number { .. } => "REAL",
            Self::Id | Self::Boolean | Self::Int | Self::DateTime => "INTEGER",
        }
    }
}

#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of the schema file")]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) kind: Kind,
    /// The type as describe tells it; several are of one kind, such as currency and percent.
    pub(crate) type_name: String,
    pub(crate) required: bool,
    pub(crate) unique: bool,
    pub(crate) lookup: bool,
    pub(crate) readonly: bool,
    /// What a record goes by where others go by their `Name`.
    pub(crate) is_name: bool,
    pub(crate) default: Option<String>,
    /// How the record behind this field is called in a path; `None` if the field holds no id.
    pub(crate) relationship: Option<String>,
    cascade: bool,
    /// SQL over the stored columns, each with a `$` before its name; a field with a formula has no
    /// column of its own.
    pub(crate) formula: Option<String>,
}

impl Field {
    /// A field born from a column name.
    pub(crate) fn custom(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: name.trim_end_matches("__c").replace('_', " "),
            kind: Kind::Text(CUSTOM_TEXT),
            type_name: "textarea".into(),
            required: false,
            unique: false,
            lookup: false,
            readonly: false,
            is_name: false,
            default: None,
            relationship: name.strip_suffix("__c").map(|stem| format!("{stem}__r")),
            cascade: false,
            formula: None,
        }
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.formula.is_none() && !matches!(self.kind, Kind::Id | Kind::Address)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.is_stored() && !self.readonly
    }

    /// May it hold the id of a record of this object? Custom fields are text, and left alone.
    pub(crate) fn refers_to(&self, object: &str) -> bool {
        matches!(&self.kind, Kind::Reference(names) if names.iter().any(|name| name == object))
    }

    pub(crate) fn on_delete(&self) -> OnDelete {
        match (self.cascade, self.required) {
            (true, _) => OnDelete::Cascade,
            (false, true) => OnDelete::Refuse,
            (false, false) => OnDelete::Clear,
        }
    }

    /// The field's column, as statements over one table name it.
    pub(crate) fn column(&self) -> String {
        format!("\"{}\"", self.name)
    }

    /// The column, or what stands for it, in a table of this alias.
    pub(crate) fn sql(&self, table: &str) -> String {
        match &self.formula {
            _ if self.kind == Kind::Id => format!("{table}.n"),
            Some(formula) => {
                let formula = formula.replace('$', &format!("{table}."));
                let collation = if self.kind.is_text() { " COLLATE NOCASE" } else { "" };
                format!("(({formula}){collation})")
            }
            None => format!("{table}.{}", self.column()),
        }
    }

    /// May loads look records up by it? Custom fields always may: the org has no other way to
    /// learn which of them are external ids.
    pub(crate) fn is_key(&self) -> bool {
        self.kind == Kind::Id || self.lookup || self.is_custom()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) prefix: String,
    /// What cannot be done to its records: `create`, `update`, `delete`.
    forbidden: Vec<String>,
    pub(crate) fields: Vec<Field>,
    by_name: HashMap<String, usize>,
}

impl Object {
    fn new(name: &str, label: &str, prefix: &str, fields: Vec<Field>) -> Self {
        let by_name = (0..).zip(&fields).map(|(i, field)| (lower(&field.name), i)).collect();
        let (name, label, prefix) = (name.into(), label.into(), prefix.into());
        Self { name, label, prefix, forbidden: Vec::new(), fields, by_name }
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Can its records be created, updated or deleted?
    pub(crate) fn takes(&self, operation: &str) -> bool {
        !self.forbidden.iter().any(|known| known == operation)
    }

    /// Where a field is, whatever the case of its name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(&lower(name)).copied()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|i| &self.fields[i])
    }

    /// Where the field is that refers to the record of this relationship.
    pub(crate) fn relation(&self, name: &str) -> Option<usize> {
        let is = |field: &Field| {
            field.relationship.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        self.fields.iter().position(is)
    }

    /// The field that tells what a record is called.
    pub(crate) fn name_field(&self) -> Option<&Field> {
        self.fields.iter().find(|field| field.is_name).or_else(|| self.field("Name"))
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.by_name.insert(lower(name), self.fields.len());
        self.fields.push(Field::custom(name));
    }

    pub(crate) fn custom_fields(&self) -> usize {
        self.fields.iter().filter(|field| field.is_custom()).count()
    }

    /// The table its records are in.
    pub(crate) fn table(&self) -> String {
        format!("\"r_{}\"", self.name)
    }
}

#[derive(Debug)]
pub(crate) struct Schema {
    objects: Vec<Object>,
    template: Vec<Field>,
}

impl Schema {
    /// The built-in objects.
    pub(crate) fn built_in() -> Result<Self, OrgError> {
        parse(BUILT_IN)
    }

    pub(crate) fn objects(&self) -> &[Object] {
        &self.objects
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name.eq_ignore_ascii_case(name))
    }

    pub(crate) fn object_mut(&mut self, name: &str) -> Option<&mut Object> {
        self.objects.iter_mut().find(|object| object.name.eq_ignore_ascii_case(name))
    }

    /// The objects that a field's ids are of.
    pub(crate) fn targets(&self, field: &Field) -> Vec<&Object> {
        if let Kind::Reference(names) = &field.kind {
            return names.iter().filter_map(|name| self.object(name)).collect();
        }
        let stem = field.name.strip_suffix("__c");
        let target = stem.and_then(|stem| self.object(&field.name).or_else(|| self.object(stem)));
        target.into_iter().collect()
    }

    pub(crate) fn by_prefix(&self, prefix: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.prefix == prefix)
    }

    /// Adds a custom object as it is at birth; the prefix is the next free one unless it is known.
    /// `None` when all 3,844 prefixes from `a00` on are taken.
    pub(crate) fn add(&mut self, name: &str, prefix: Option<String>) -> Option<&Object> {
        let taken = self.objects.iter().filter(|object| object.is_custom()).count();
        let next = i64::try_from(taken).ok().filter(|n| *n < 62 * 62);
        let prefix = prefix.or_else(|| Some(format!("a{}", &ids::short("", next?)[10..])))?;
        let label = name.trim_end_matches("__c").replace('_', " ");
        self.objects.push(Object::new(name, &label, &prefix, self.template.clone()));
        self.objects.last()
    }
}

/// `Invoice__c`: a letter, then letters, digits and underscores, and the suffix.
pub(crate) fn is_custom_name(name: &str) -> bool {
    let stem = name.strip_suffix("__c").unwrap_or_default();
    stem.len() <= 60
        && stem.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && stem.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn lower(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Reads the schema file; its head explains the format.
fn parse(text: &str) -> Result<Schema, OrgError> {
    let (mut common, mut template): (Vec<Field>, Vec<Field>) = (Vec::new(), Vec::new());
    let mut objects: Vec<Object> = Vec::new();
    let mut section = String::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let bad = || OrgError::schema(number, line);
        let mut words = Words(line);
        let Some(first) = words.next() else { continue };
        if line.starts_with(char::is_whitespace) {
            let field = field(first, words).ok_or_else(bad)?;
            match section.as_str() {
                "common" => common.push(field),
                "custom" => template.push(field),
                _ => objects.last_mut().ok_or_else(bad)?.fields.push(field),
            }
            continue;
        }
        first.clone_into(&mut section);
        match first {
            "common" | "custom" if words.next().is_none() => {}
            "object" => objects.push(object(words).ok_or_else(bad)?),
            _ => return Err(bad()),
        }
    }
    let whole = |fields: &[Field]| common.iter().chain(fields).cloned().collect();
    let objects = objects.into_iter().map(|object| Object {
        forbidden: object.forbidden,
        ..Object::new(&object.name, &object.label, &object.prefix, whole(&object.fields))
    });
    Ok(Schema { objects: objects.collect(), template: whole(&template) })
}

/// `NAME PREFIX ["Label"] [no OPERATION …]`, still without fields.
fn object(mut words: Words<'_>) -> Option<Object> {
    let name = words.next()?;
    let prefix = words.next().filter(|prefix| prefix.len() == 3)?;
    let mut rest = words.peekable();
    let label = rest.next_if(|word| *word != "no").unwrap_or(name);
    let mut object = Object::new(name, label, prefix, Vec::new());
    while let Some(word) = rest.next() {
        let operation = rest.next().filter(|_| word == "no")?;
        object.forbidden.push(operation.to_owned());
    }
    Some(object)
}

/// The words of a line: between blanks, or between quotes, or with a parenthesis in one piece.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        if let Some(quoted) = text.strip_prefix('"') {
            let (word, rest) = quoted.split_once('"')?;
            self.0 = rest;
            return Some(word);
        }
        let mut depth = 0;
        let end = text.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            c == ' ' && depth == 0
        });
        let (word, rest) = text.split_at(end.unwrap_or(text.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn field(name: &str, mut words: Words<'_>) -> Option<Field> {
    let (type_name, kind) = kind(words.next()?)?;
    let refers = matches!(kind, Kind::Reference(_));
    let relationship = name.strip_suffix("Id").filter(|_| refers).map(str::to_owned);
    let mut field =
        Field { label: label(name), kind, type_name, relationship, ..Field::custom(name) };
    while let Some(word) = words.next() {
        match word {
            "required" => field.required = true,
            "unique" => field.unique = true,
            "lookup" => field.lookup = true,
            "readonly" => field.readonly = true,
            "cascade" => field.cascade = true,
            "name" => field.is_name = true,
            "default" => field.default = Some(words.next().map(or_me)?),
            "label" => words.next()?.clone_into(&mut field.label),
            ":=" => {
                let formula = std::mem::take(&mut words.0).trim();
                let is_me = formula == "me";
                field.formula = Some(if is_me { format!("'{}'", me()) } else { formula.into() });
            }
            _ => return None,
        }
    }
    Some(field)
}

fn or_me(word: &str) -> String {
    if word == "me" { me() } else { word.to_owned() }
}

/// The name of a type and what it stands for.
fn kind(text: &str) -> Option<(String, Kind)> {
    let (name, inside) = text.split_once('(').unwrap_or((text, ""));
    let inside = inside.trim_end_matches(')');
    let number = || inside.parse::<usize>().ok();
    let kind = match name {
        "id" => Kind::Id,
        "string" | "textarea" => Kind::Text(number()?),
        "picklist" | "restricted" => {
            let values = inside.split('|').filter(|value| !value.is_empty());
            let values = values.map(str::to_owned).collect();
            Kind::Picklist(Picklist { values, restricted: name == "restricted" })
        }
        "url" => Kind::Text(255),
        "phone" => Kind::Text(40),
        "email" => Kind::Email,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "double" | "currency" | "percent" => {
            let (precision, scale) = inside.split_once(',')?;
            let (precision, scale) = (precision.parse().ok()?, scale.parse().ok()?);
            Some(Kind::Number { precision, scale }).filter(|_| scale <= precision)?
        }
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "base64" => Kind::Base64,
        "address" => Kind::Address,
        "reference" => Kind::Reference(inside.split(' ').map(str::to_owned).collect()),
        _ => return None,
    };
    let told = if name == "restricted" { "picklist" } else { name };
    Some((told.to_owned(), kind))
}

/// `ReportsToId` → `Reports To ID`.
fn label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !label.is_empty() {
            label.push(' ');
        }
        label.push(c);
    }
    if label.ends_with(" Id") {
        label.replace_range(label.len() - 1.., "D");
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_schema_is_read() {
        let schema = Schema::built_in().unwrap();
        let mut prefixes: Vec<_> = schema.objects().iter().map(|o| o.prefix.as_str()).collect();
        let count = prefixes.len();
        prefixes.sort_unstable();
        prefixes.dedup();
        assert_eq!(prefixes.len(), count, "no two objects share a prefix");
        assert_eq!(schema.by_prefix("00k").unwrap().name, "OpportunityLineItem");
        assert_eq!(schema.by_prefix("00K").unwrap().name, "OpportunityContactRole");
        let account = schema.object("ACCOUNT").unwrap();
        assert_eq!(account.field("name").unwrap().label, "Account Name");
        assert!(account.field("Name").unwrap().required);
        assert_eq!(account.field("parentid").unwrap().label, "Parent ID");
        assert_eq!(
            account.field("AnnualRevenue").unwrap().kind,
            Kind::Number { precision: 18, scale: 2 }
        );
        assert_eq!(account.field("OwnerId").unwrap().default, Some(me()));
        assert!(!account.field("CreatedDate").unwrap().is_writable());
        let task = schema.object("Task").unwrap();
        assert_eq!(task.field("WhoId").unwrap().relationship.as_deref(), Some("Who"));
        assert_eq!(schema.object("Order").unwrap().name_field().unwrap().name, "OrderNumber");
        let who = Kind::Reference(vec!["Contact".into(), "Lead".into()]);
        assert_eq!(task.field("WhoId").unwrap().kind, who);
        assert!(schema.object("Contact").unwrap().field("Name").unwrap().formula.is_some());
    }

    #[test]
    fn every_reference_leads_to_an_object_and_every_default_is_a_value() {
        let schema = Schema::built_in().unwrap();
        for object in schema.objects() {
            for field in &object.fields {
                if let Kind::Reference(names) = &field.kind {
                    assert_eq!(schema.targets(field).len(), names.len(), "{}", field.name);
                    assert!(field.relationship.is_some(), "{}", field.name);
                }
                if let Some(text) = &field.default {
                    assert!(crate::value::read(field, text).is_ok(), "{}", field.name);
                }
            }
        }
    }

    #[test]
    fn a_custom_field_leads_to_the_object_of_its_name() {
        let mut schema = Schema::built_in().unwrap();
        schema.add("Plant__c", None);
        let leads = |name: &str| {
            let field = Field::custom(name);
            schema.targets(&field).iter().map(|object| object.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(leads("Plant__c"), ["Plant__c"]);
        assert_eq!(leads("Account__c"), ["Account"]);
        assert_eq!(leads("Region__c"), Vec::<String>::new());
    }

    #[test]
    fn a_line_that_says_nothing_known_is_named() {
        for bad in [
            "object Account",
            "object A 001\n  X blob",
            "  X int",
            "object A 001\n  X int big",
            "object A 001 no",
        ] {
            assert!(parse(bad).unwrap_err().to_string().contains("line"), "{bad}");
        }
    }

    #[test]
    fn custom_names_are_plain_identifiers() {
        for good in ["A__c", "Erp_Key__c", "x9__c"] {
            assert!(is_custom_name(good), "{good}");
        }
        for bad in ["__c", "Name", "A__C", "a b__c", "é__c", "9a__c", "a\"__c", "_a__c"] {
            assert!(!is_custom_name(bad), "{bad}");
        }
        let mut schema = Schema::built_in().unwrap();
        assert_eq!(schema.add("Invoice__c", None).unwrap().prefix, "a00");
        assert_eq!(schema.add("Line__c", None).unwrap().prefix, "a01");
    }
}
