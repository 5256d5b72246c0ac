//! What the org knows of objects and fields: `schema.txt` to begin with, `…__c` as it is used.
//!
//! Every name that reaches an SQL statement comes from here. A name from outside gets in only as a
//! custom object or field, and only if it is a plain identifier ([`is_custom_name`]).

use std::collections::HashMap;

use crate::error::OrgError;
use crate::ids;

const BUILT_IN: &str = include_str!("schema.txt");
/// The longest text a field created on first use takes: the vendor's bound for long text areas is
/// 131,072, but a plain one holds this much.
const CUSTOM_TEXT: usize = 32_768;
/// As many custom fields as the largest edition gives one object.
pub(crate) const CUSTOM_FIELDS: usize = 800;

/// The practice user, the one record every org begins with.
pub(crate) fn me() -> String {
    ids::long("005", 1)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    /// Text of at most so many characters.
    Text(usize),
    Email,
    Boolean,
    Int,
    /// A number with at most so many digits before its point.
    Number(usize),
    Date,
    DateTime,
    /// The id of a record of one of these objects; `*` stands for any, unchecked.
    Reference(Vec<String>),
}

impl Kind {
    /// The type of the column. Text compares as SOQL does, without regard to case.
    pub(crate) fn column_type(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Email => "TEXT COLLATE NOCASE",
            Self::Date | Self::Reference(_) => "TEXT",
            Self::Number(_) => "REAL",
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
    pub(crate) required: bool,
    pub(crate) unique: bool,
    pub(crate) lookup: bool,
    pub(crate) readonly: bool,
    pub(crate) default: Option<String>,
    /// SQL over the stored columns; a field with one has no column of its own.
    pub(crate) formula: Option<String>,
}

impl Field {
    /// A field born from a column name.
    fn custom(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            label: name.trim_end_matches("__c").replace('_', " "),
            kind: Kind::Text(CUSTOM_TEXT),
            required: false,
            unique: false,
            lookup: false,
            readonly: false,
            default: None,
            formula: None,
        }
    }

    pub(crate) fn is_stored(&self) -> bool {
        self.formula.is_none() && self.kind != Kind::Id
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.is_stored() && !self.readonly
    }

    /// The column, or what stands for it, in SQL.
    pub(crate) fn sql(&self) -> String {
        match &self.formula {
            _ if self.kind == Kind::Id => "n".to_owned(),
            Some(formula) if matches!(self.kind, Kind::Text(_)) => {
                format!("(({formula}) COLLATE NOCASE)")
            }
            Some(formula) => format!("({formula})"),
            None => format!("\"{}\"", self.name),
        }
    }

    /// May an upsert look records up by it? Custom fields always may: the org has no other way to
    /// learn which of them are external ids.
    pub(crate) fn is_key(&self) -> bool {
        self.kind == Kind::Id || self.lookup || self.name.ends_with("__c")
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) prefix: String,
    pub(crate) fields: Vec<Field>,
    by_name: HashMap<String, usize>,
}

impl Object {
    fn new(name: &str, label: &str, prefix: &str, fields: Vec<Field>) -> Self {
        let by_name = (0..).zip(&fields).map(|(i, field)| (lower(&field.name), i)).collect();
        Self { name: name.into(), label: label.into(), prefix: prefix.into(), fields, by_name }
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name.ends_with("__c")
    }

    /// Where a field is, whatever the case of its name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(&lower(name)).copied()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        self.position(name).map(|i| &self.fields[i])
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.by_name.insert(lower(name), self.fields.len());
        self.fields.push(Field::custom(name));
    }

    pub(crate) fn custom_fields(&self) -> usize {
        self.fields.iter().filter(|field| field.name.ends_with("__c")).count()
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
    let mut objects: Vec<(String, String, String, Vec<Field>)> = Vec::new();
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
                _ => objects.last_mut().ok_or_else(bad)?.3.push(field),
            }
            continue;
        }
        first.clone_into(&mut section);
        match (first, words.next(), words.next()) {
            ("common" | "custom", None, None) => {}
            ("object", Some(name), Some(prefix)) if prefix.len() == 3 => {
                let label = words.next().unwrap_or(name);
                objects.push((name.into(), label.into(), prefix.into(), Vec::new()));
            }
            _ => return Err(bad()),
        }
    }
    let whole = |fields: Vec<Field>| common.iter().cloned().chain(fields).collect();
    let objects = objects
        .into_iter()
        .map(|(name, label, prefix, fields)| Object::new(&name, &label, &prefix, whole(fields)))
        .collect();
    Ok(Schema { objects, template: whole(template) })
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
    let kind = kind(words.next()?)?;
    let mut field = Field { label: label(name), kind, ..Field::custom(name) };
    while let Some(word) = words.next() {
        match word {
            "required" => field.required = true,
            "unique" => field.unique = true,
            "lookup" => field.lookup = true,
            "readonly" => field.readonly = true,
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

fn kind(text: &str) -> Option<Kind> {
    let (name, inside) = text.split_once('(').unwrap_or((text, ""));
    let inside = inside.trim_end_matches(')');
    let number = || inside.parse::<usize>().ok();
    Some(match name {
        "id" => Kind::Id,
        "string" | "textarea" => Kind::Text(number()?),
        "picklist" | "url" => Kind::Text(255),
        "phone" => Kind::Text(40),
        "email" => Kind::Email,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "double" | "currency" | "percent" => {
            let (precision, scale) = inside.split_once(',')?;
            Kind::Number(precision.parse::<usize>().ok()?.checked_sub(scale.parse().ok()?)?)
        }
        "date" => Kind::Date,
        "datetime" => Kind::DateTime,
        "reference" => Kind::Reference(inside.split(' ').map(str::to_owned).collect()),
        _ => return None,
    })
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
        let prefixes: Vec<_> = schema.objects().iter().map(|o| o.prefix.as_str()).collect();
        assert_eq!(prefixes, ["001", "003", "00Q", "006", "500", "00T", "005"]);
        let account = schema.object("ACCOUNT").unwrap();
        assert_eq!(account.field("name").unwrap().label, "Account Name");
        assert!(account.field("Name").unwrap().required);
        assert_eq!(account.field("parentid").unwrap().label, "Parent ID");
        assert_eq!(account.field("AnnualRevenue").unwrap().kind, Kind::Number(16));
        assert_eq!(account.field("OwnerId").unwrap().default, Some(me()));
        assert!(!account.field("CreatedDate").unwrap().is_writable());
        let task = schema.object("Task").unwrap();
        let who = Kind::Reference(vec!["Contact".into(), "Lead".into()]);
        assert_eq!(task.field("WhoId").unwrap().kind, who);
        assert!(schema.object("Contact").unwrap().field("Name").unwrap().formula.is_some());
    }

    #[test]
    fn a_line_that_says_nothing_known_is_named() {
        for bad in
            ["object Account", "object A 001\n  X blob", "  X int", "object A 001\n  X int big"]
        {
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
