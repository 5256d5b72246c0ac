//! Field paths into joins: `Account.Owner.Name` is a column of a table two joins away.
//!
//! A polymorphic relationship is joined to each object it may lead to; at most one of them has the
//! record. Of such a record the service tells what all of them share, the fields of its object
//! `Name`; so does this org.

use std::fmt::Write as _;

use super::parse::{Name, Problem};
use crate::schema::{Field, Kind, Object, Schema};

/// How many relationships a path may have (SOQL reference, "Understanding Relationship Query
/// Limitations").
const LEVELS: usize = 5;
/// SQLite joins 64 tables at most.
const TABLES: usize = 60;
/// What is known of a record behind a polymorphic relationship.
const SHARED: [&str; 15] = [
    "Id",
    "Name",
    "Type",
    "FirstName",
    "LastName",
    "Email",
    "Phone",
    "Title",
    "Username",
    "Alias",
    "IsActive",
    "ProfileId",
    "Profile",
    "UserRoleId",
    "UserRole",
];

/// The kind of `Type` behind a polymorphic relationship.
static OBJECT_NAME: Kind = Kind::Text(80);
/// The kind of `Id` behind any relationship.
static ANY_ID: Kind = Kind::Reference(Vec::new());

/// A field by its path.
#[derive(Debug, Clone)]
pub(crate) struct Column<'o> {
    /// Relationships and a field, spelled as in the schema.
    pub(crate) path: Vec<&'o str>,
    pub(crate) kind: &'o Kind,
    pub(crate) sql: String,
}

impl Column<'_> {
    /// `Account.Owner.Name`: the header of its column.
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }
}

/// The tables of a query: those of its object, and of the parents that its paths lead to.
#[derive(Debug)]
pub(crate) struct Tables<'o> {
    schema: &'o Schema,
    object: &'o Object,
    /// Are records in the recycle bin seen?
    all: bool,
    places: Vec<Place<'o>>,
    /// How many tables there are; they are called `t0`, `t1`, ….
    count: usize,
    joins: String,
}

/// Where a path of relationships leads.
#[derive(Debug)]
struct Place<'o> {
    path: Vec<&'o str>,
    /// The objects a record may be of, each with its table.
    tables: Vec<(String, &'o Object)>,
    /// The id of the record in SQL; its number in the first place.
    id: String,
}

impl<'o> Tables<'o> {
    pub(crate) fn new(schema: &'o Schema, object: &'o Object, all: bool) -> Self {
        let (tables, id) = (vec![("t0".into(), object)], "t0.n".into());
        let root = Place { path: Vec::new(), tables, id };
        Self { schema, object, all, places: vec![root], count: 1, joins: String::new() }
    }

    /// What stands behind `FROM` once all paths are known.
    pub(crate) fn sql(&self) -> String {
        format!("{} AS t0{}", self.object.table(), self.joins)
    }

    /// Where the paths have led so far: the relationships on the way, and the record's id.
    pub(crate) fn records(&self) -> impl Iterator<Item = (Vec<&'o str>, String)> {
        self.places.iter().map(|place| (place.path.clone(), place.id.clone()))
    }

    /// The column of a path. A name may be told with its object in front: `Account.Name` on Account.
    pub(crate) fn column(&mut self, name: Name<'_>) -> Result<Column<'o>, Problem> {
        let mut path: Vec<&str> = name.text.split('.').collect();
        let own = path.len() > 1 && path[0].eq_ignore_ascii_case(&self.object.name);
        if own && self.object.relation(path[0]).is_none() {
            path.remove(0);
        }
        let (field, relationships) = path.split_last().unwrap_or((&"", &[]));
        if relationships.len() > LEVELS {
            let text = format!("a path has at most {LEVELS} relationships");
            return Err(Problem::malformed(name.at, text));
        }
        let mut place = 0;
        for relationship in relationships {
            place = self.follow(place, relationship, name)?;
        }
        self.places[place].column(field).ok_or_else(|| self.no_column(place, name))
    }

    /// The place behind a relationship; its tables are joined when a path first leads there.
    fn follow(
        &mut self,
        from: usize,
        relationship: &str,
        name: Name<'_>,
    ) -> Result<usize, Problem> {
        let links = self.places[from].links(relationship);
        let Some((_, field)) = links.first() else {
            return Err(no_relationship(name, relationship));
        };
        let mut path = self.places[from].path.clone();
        path.push(field.relationship.as_deref().unwrap_or_default());
        if let Some(known) = self.places.iter().position(|place| place.path == path) {
            return Ok(known);
        }
        let targets = self.schema.targets(field);
        if targets.is_empty() {
            return Err(no_relationship(name, relationship));
        }
        if self.count + targets.len() > TABLES {
            let text = "the query has too many relationships";
            return Err(Problem::new("QUERY_TOO_COMPLICATED", name.at, text));
        }
        let id = first_of(links.iter().map(|(table, field)| self.places[from].value(table, field)));
        let tables: Vec<_> = targets.into_iter().map(|target| self.join(target, &id)).collect();
        let id_of = |(table, of): &(String, &Object)| format!("id_of('{}', {table}.n)", of.prefix);
        let id = first_of(tables.iter().map(id_of));
        self.places.push(Place { path, tables, id });
        Ok(self.places.len() - 1)
    }

    fn join(&mut self, object: &'o Object, id: &str) -> (String, &'o Object) {
        let table = format!("t{}", self.count);
        self.count += 1;
        let (of, prefix) = (object.table(), &object.prefix);
        let seen = if self.all { String::new() } else { format!(" AND {table}.deleted = 0") };
        let _ = write!(
            self.joins,
            " LEFT JOIN {of} AS {table} ON {table}.n = number_of({id}, '{prefix}'){seen}"
        );
        (table, object)
    }

    fn no_column(&self, place: usize, name: Name<'_>) -> Problem {
        let entity = match &self.places[place].tables[..] {
            [(_, object)] => object.name.as_str(),
            _ => "Name",
        };
        let text = format!(
            "No such column '{}' on entity '{entity}'. If you are attempting to use a custom field, be sure to append \
             the '__c' after the custom field name. Please reference your WSDL or the describe call for the \
             appropriate names.",
            shown(name.text.rsplit('.').next().unwrap_or_default())
        );
        Problem::new("INVALID_FIELD", name.at, text)
    }
}

impl<'o> Place<'o> {
    fn is_polymorphic(&self) -> bool {
        self.tables.len() > 1
    }

    /// Is a field or a relationship of this name told of the record?
    fn tells(&self, name: &str) -> bool {
        !self.is_polymorphic() || SHARED.iter().any(|shared| shared.eq_ignore_ascii_case(name))
    }

    /// The fields that hold the id of the record behind a relationship.
    fn links(&self, relationship: &str) -> Vec<(&str, &'o Field)> {
        let told = self.tables.iter().filter(|_| self.tells(relationship));
        told.filter_map(|(table, object)| {
            Some((table.as_str(), &object.fields[object.relation(relationship)?]))
        })
        .collect()
    }

    fn column(&self, name: &str) -> Option<Column<'o>> {
        if !self.path.is_empty() && name.eq_ignore_ascii_case("Id") {
            return Some(self.named("Id", &ANY_ID, self.id.clone()));
        }
        if self.is_polymorphic() && name.eq_ignore_ascii_case("Type") {
            let of = |(table, object): &(String, &Object)| {
                format!("iif({table}.n IS NULL, NULL, '{}')", object.name)
            };
            return Some(self.named("Type", &OBJECT_NAME, first_of(self.tables.iter().map(of))));
        }
        let is_name = self.is_polymorphic() && name.eq_ignore_ascii_case("Name");
        let fields = self.tables.iter().filter(|_| self.tells(name)).filter_map(|(table, of)| {
            let field = if is_name { of.name_field() } else { of.field(name) };
            Some((table, field?))
        });
        let fields: Vec<_> = fields.collect();
        let (_, first) = fields.first()?;
        let spelled = if is_name { "Name" } else { first.name.as_str() };
        let mut sql = first_of(fields.iter().map(|(table, field)| self.value(table, field)));
        if !self.path.is_empty() && first.kind.is_text() {
            sql.push_str(" COLLATE NOCASE"); // an expression does not compare as its columns do
        }
        Some(self.named(spelled, &first.kind, sql))
    }

    /// A field in SQL; null without a record, even if a formula makes something of nothing.
    fn value(&self, table: &str, field: &Field) -> String {
        let sql = field.sql(table);
        let surely = self.path.is_empty() || field.formula.is_none();
        if surely { sql } else { format!("iif({table}.n IS NULL, NULL, {sql})") }
    }

    fn named(&self, name: &'o str, kind: &'o Kind, sql: String) -> Column<'o> {
        let path = self.path.iter().copied().chain([name]).collect();
        Column { path, kind, sql }
    }
}

/// The first expression that is not null.
fn first_of(expressions: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = expressions.collect();
    match &all[..] {
        [one] => one.clone(),
        _ => format!("coalesce({})", all.join(", ")),
    }
}

fn no_relationship(name: Name<'_>, relationship: &str) -> Problem {
    let text = format!(
        "Didn't understand relationship '{}' in field path. If you are attempting to use a custom relationship, be \
         sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call \
         for the appropriate names.",
        shown(relationship)
    );
    Problem::new("INVALID_FIELD", name.at, text)
}

fn shown(name: &str) -> String {
    name.chars().take(100).collect()
}
