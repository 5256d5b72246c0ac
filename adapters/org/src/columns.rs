//! What the columns of a file mean: fields, and parents by one of their keys.
//!
//! ```text
//! Name                field
//! Owner.Username      relationship . key of the parent
//! Contact:Who.Email   type of the parent : relationship . key
//! ```
//!
//! The type is told where the parent may be of several. Here it may be left out if only one of them
//! has such a key, as in `Owner.Username` of a lead; the service wants it there too. Records in JSON
//! and XML come with the same names.
//!
//! (Bulk API guide, "Relationship Fields in a Header Row".) A file that is refused leaves no field
//! behind: all names are understood before the first one is made.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::format::Format;
use crate::jobs::{Job, Operation};
use crate::org::Org;
use crate::schema::{self, Field, Kind, Object, Schema};
use crate::store;
use crate::work::Failure;

/// A column of a file.
#[derive(Debug)]
pub(crate) struct Column {
    /// Where its field is among those of the object.
    pub(crate) field: usize,
    /// How the record is found whose id the field gets; `None` if the cell is the value.
    pub(crate) via: Option<Via>,
}

/// The key of a parent.
#[derive(Debug, Clone)]
pub(crate) struct Via {
    pub(crate) object: String,
    pub(crate) key: String,
}

/// What a name was understood as: the field, which may still have to be made, and the way to it.
struct Meaning {
    field: Field,
    via: Option<Via>,
}

/// Understands a header; its custom fields are made and its keys indexed.
pub(crate) fn columns(
    org: &mut Org,
    job: &Job,
    header: &[Cow<'_, str>],
) -> Result<Vec<Column>, Failure> {
    let of = object(org, job)?;
    let mut meanings = Vec::with_capacity(header.len());
    for name in header {
        let meaning = meaning(&org.schema, of, header, name)?;
        if meaning.field.kind == Kind::Base64 && !job.zip {
            let message = "is only supported for content types ZIP_XML and ZIP_CSV";
            return Err(Failure::batch(format!("Binary field {} {message}", meaning.field.name)));
        }
        meanings.push(meaning);
    }
    check(job, header, &meanings)?;
    check_room(of, &meanings)?;
    for Meaning { field, .. } in &meanings {
        store::ensure_field(&org.db, &mut org.schema, &job.object, &field.name)?;
    }
    let of = object(org, job)?;
    let mut columns = Vec::with_capacity(header.len());
    for (Meaning { field, via }, name) in meanings.into_iter().zip(header) {
        if let Some(Via { object, key }) = &via {
            let key = org.schema.object(object).and_then(|object| object.field(key));
            key.map_or(Ok(()), |key| store::index(&org.db, object, key))?;
        }
        let field = of.position(&field.name).ok_or_else(|| unknown(name))?;
        columns.push(Column { field, via });
    }
    Ok(columns)
}

/// All the fields that would be made must find room.
fn check_room(object: &Object, meanings: &[Meaning]) -> Result<(), Failure> {
    let names = meanings.iter().map(|meaning| &meaning.field.name);
    let mut new: Vec<&String> = names.filter(|name| object.field(name).is_none()).collect();
    let mut known = HashSet::new();
    new.retain(|name| known.insert(name.to_ascii_lowercase()));
    let room = schema::CUSTOM_FIELDS.saturating_sub(object.custom_fields());
    new.get(room).map_or(Ok(()), |name| Err(unknown(name)))
}

/// The object of a job.
pub(crate) fn object<'o>(org: &'o Org, job: &Job) -> Result<&'o Object, Failure> {
    let unknown = || Failure::batch(format!("Unable to find object: {}", job.object));
    org.schema.object(&job.object).ok_or_else(unknown)
}

fn meaning(
    schema: &Schema,
    object: &Object,
    header: &[Cow<'_, str>],
    name: &str,
) -> Result<Meaning, Failure> {
    let (of, path) = name.split_once(':').map_or((None, name), |(of, path)| (Some(of), path));
    if let Some((relationship, key)) = path.split_once('.') {
        let (field, target) = parent(schema, object, name, of, (relationship, key))?;
        // The file may be the first to have the key, if it also has the parents.
        let comes = target.name == object.name
            && schema::is_custom_name(key)
            && header.iter().any(|name| name.eq_ignore_ascii_case(key));
        let found = target.field(key).cloned().or_else(|| comes.then(|| Field::custom(key)));
        let found = found.ok_or_else(|| unknown(name))?;
        if !found.is_key() {
            let (key, target) = (&found.name, &target.name);
            return Err(Failure::batch(format!(
                "Field name provided, {key} does not match an External ID, Salesforce Id, or indexed field for {target}"
            )));
        }
        let via = Via { object: target.name.clone(), key: found.name };
        return Ok(Meaning { field, via: Some(via) });
    }
    let made = || schema::is_custom_name(name).then(|| Field::custom(name));
    let field = object.field(name).cloned().or_else(made).ok_or_else(|| unknown(name))?;
    Ok(Meaning { field, via: None })
}

/// The field of a relationship, and the object that its parents are of.
fn parent<'s>(
    schema: &'s Schema,
    object: &Object,
    name: &str,
    of: Option<&str>,
    (relationship, key): (&str, &str),
) -> Result<(Field, &'s Object), Failure> {
    let field = link(object, relationship).ok_or_else(|| unknown(name))?;
    let targets = schema.targets(&field);
    let needed = |needed: &str| {
        Failure::batch(format!("type is {needed} foreign key references: {relationship}"))
    };
    let target = match (of, &targets[..]) {
        (_, []) => {
            let why = format!("there is no object {}", field.name);
            return Err(Failure::batch(format!("Field name not found : {name} ({why})")));
        }
        (None, [target]) => *target,
        (None, many) => {
            let mut fitting =
                many.iter().filter(|target| target.field(key).is_some_and(Field::is_key));
            match (fitting.next(), fitting.next()) {
                (Some(target), None) => *target,
                _ => return Err(needed("needed for polymorphic")),
            }
        }
        (Some(_), [_]) => return Err(needed("not needed for non polymorphic")),
        (Some(of), many) => {
            let target = many.iter().find(|target| target.name.eq_ignore_ascii_case(of));
            target.ok_or_else(|| unknown(name))?
        }
    };
    Ok((field, target))
}

/// The field behind a relationship; a custom one may still have to be made.
fn link(object: &Object, relationship: &str) -> Option<Field> {
    if let Some(position) = object.relation(relationship) {
        return Some(object.fields[position].clone());
    }
    let name = format!("{}__c", relationship.strip_suffix("__r")?);
    schema::is_custom_name(&name).then(|| Field::custom(&name))
}

/// No field of a file comes twice, and the one that says which record a row means is there. Records
/// in JSON and XML may each name a parent in another way, so there a row is judged by itself.
fn check(job: &Job, header: &[Cow<'_, str>], meanings: &[Meaning]) -> Result<(), Failure> {
    let mut seen = HashSet::new();
    for (Meaning { field, .. }, name) in meanings.iter().zip(header) {
        if !seen.insert(field.name.to_ascii_lowercase()) && job.content == Format::Csv {
            return Err(Failure::batch(format!("Duplicate field name found : {name}")));
        }
    }
    let key = match job.operation {
        Operation::Insert => None,
        Operation::Upsert => job.external.as_deref(),
        _ => Some("Id"),
    };
    let has = |key: &str| {
        let is = |meaning: &Meaning| {
            meaning.via.is_none() && meaning.field.name.eq_ignore_ascii_case(key)
        };
        meanings.iter().any(is)
    };
    match key.filter(|key| !has(key)) {
        Some(key) => Err(unknown(key)),
        None => Ok(()),
    }
}

fn unknown(name: &str) -> Failure {
    Failure::batch(format!("Field name not found : {name}"))
}
