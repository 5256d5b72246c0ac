//! One record at a time: which record a row means, whether its values will do, and the change.
//!
//! An empty cell says nothing about its field, `#N/A` empties it (a boolean becomes false). Text is
//! kept as it came. A cell in a column like `Owner.Username` means the record with that key, and the
//! field gets its id. Where the service is known to be stricter in ways that depend on the org
//! (triggers, validation and duplicate rules, the same record twice in one chunk), this is not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Statement};

use crate::archive::Archive;
use crate::columns::Column;
use crate::delete::Bin;
use crate::ids;
use crate::jobs::{Job, Operation};
use crate::schema::{Field, Kind, Object, Schema};
use crate::store;
use crate::table::NULL;
use crate::value::{self, RowError, Value};

/// Why a record did not get in.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was refused; the next one may do.
    Refused(RowError),
    /// The database failed, which ends the batch.
    Broken(rusqlite::Error),
}

impl From<RowError> for Stop {
    fn from(error: RowError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

/// A field that the records have, and the cells it may come from: several, if JSON or XML names its
/// parent now in one way, now in another.
struct Target<'c, 'o> {
    field: &'o Field,
    sources: Vec<Source<'c, 'o>>,
}

/// A cell, and whose id the field gets if the cell is a key of that record.
struct Source<'c, 'o> {
    cell: usize,
    parent: Option<Parent<'c, 'o>>,
}

/// Records that are found by a key.
struct Parent<'c, 'o> {
    object: &'o Object,
    key: &'o Field,
    find: CachedStatement<'c>,
    /// The last key and the id it meant: rows of one parent often follow each other. Not kept where
    /// the rows themselves may change it.
    last: Option<(String, [u8; 18])>,
    keeps: bool,
}

/// What a cell asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell<'a> {
    Silent,
    Set(Value<'a>),
}

/// All that is prepared once for the rows of a batch.
pub(crate) struct Loader<'c, 'o> {
    db: &'c Connection,
    schema: &'o Schema,
    object: &'o Object,
    operation: Operation,
    /// The cell with the record's id.
    id: Option<usize>,
    /// The cell and the field that say which record an upsert means, if that is not the id.
    key: Option<(usize, &'o Field)>,
    targets: Vec<Target<'c, 'o>>,
    /// Where the files are that binary fields name.
    files: Option<&'o Archive>,
    /// Cells of fields that nobody may write.
    locked: Vec<Target<'c, 'o>>,
    width: usize,
    /// Required fields that are no column of the file.
    missing: Vec<&'o Field>,
    /// Stored fields that are no column of the file, but get a value in a new record.
    defaults: Vec<&'o Field>,
    insert: CachedStatement<'c>,
    update: CachedStatement<'c>,
    find: CachedStatement<'c>,
    by_key: Option<CachedStatement<'c>>,
    unique: Vec<(usize, CachedStatement<'c>)>,
    known: References<'c>,
    bin: Bin<'c, 'o>,
    now: i64,
    next: i64,
}

impl<'c, 'o> Loader<'c, 'o> {
    pub(crate) fn new(
        db: &'c Connection,
        schema: &'o Schema,
        object: &'o Object,
        job: &Job,
        columns: &[Column],
        now: i64,
    ) -> rusqlite::Result<Self> {
        let fields = &object.fields;
        let at = |wanted: &dyn Fn(&Field) -> bool| {
            let is = |column: &Column| column.via.is_none() && wanted(&fields[column.field]);
            columns.iter().position(is)
        };
        let id = at(&|field| field.kind == Kind::Id);
        let keyed = job.external.as_deref().filter(|name| *name != "Id");
        let key = keyed.and_then(|name| at(&|field| field.name == name));
        let key = key.map(|cell| (cell, &fields[columns[cell].field]));
        let (targets, locked): (Vec<_>, Vec<_>) = all_targets(db, schema, object, columns)?
            .into_iter()
            .filter(|target| target.field.kind != Kind::Id)
            .partition(|target| target.field.is_writable());
        let absent = || {
            let given =
                |field: &Field| targets.iter().any(|target| target.field.name == field.name);
            fields.iter().filter(move |field| field.is_writable() && !given(field))
        };
        let missing = absent().filter(|field| field.required && field.default.is_none()).collect();
        let defaults: Vec<&Field> = absent().filter(|field| default(field, "").is_some()).collect();
        let named = targets.iter().map(|target| target.field).chain(defaults.iter().copied());
        let insert = db.prepare_cached(&insert_sql(object, named))?;
        let update = db.prepare_cached(&update_sql(object, &targets))?;
        let table = object.table();
        let find = db.prepare_cached(&format!("SELECT deleted FROM {table} WHERE n = ?"))?;
        let by_key = key.map(|(_, field)| same(db, object, field)).transpose()?;
        let unique = (0..).zip(&targets).filter(|(_, target)| target.field.unique);
        let unique = unique
            .map(|(i, target)| Ok((i, same(db, object, target.field)?)))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            db,
            schema,
            object,
            operation: job.operation,
            id,
            key,
            targets,
            files: None,
            locked,
            width: columns.len(),
            missing,
            defaults,
            insert,
            update,
            find,
            by_key,
            unique,
            known: References::default(),
            bin: Bin::new(db, schema, job.operation == Operation::HardDelete, now),
            now,
            next: store::next_number(db, object)?,
        })
    }

    /// Binary fields name files of this archive.
    pub(crate) fn with_files(mut self, files: Option<&'o Archive>) -> Self {
        self.files = files;
        self
    }

    /// The number the next new record gets.
    pub(crate) fn next_number(&self) -> i64 {
        self.next
    }

    /// Applies one record; tells its number and whether it is new.
    pub(crate) fn row(&mut self, cells: &[Cow<'_, str>]) -> Result<(i64, bool), Stop> {
        if cells.len() != self.width {
            let (found, wanted) = (cells.len(), self.width);
            let message = format!("The row has {found} values, the header has {wanted} columns");
            return Err(RowError::new("INVALID_FIELD", message).into());
        }
        if matches!(self.operation, Operation::Delete | Operation::HardDelete) {
            let n = self.delete(self.id.map_or("", |at| &cells[at]))?;
            return Ok((n, false));
        }
        let target = self.target(cells)?;
        let values = self.read(cells, target.is_none())?;
        self.check_unique(target, &values)?;
        self.check_references(&values)?;
        match target {
            Some(n) => self.change(n, &values).map(|()| (n, false)),
            None => self.create(&values).map(|n| (n, true)),
        }
        .map_err(Stop::Broken)
    }

    /// Which record a row means; `None` is a new one.
    fn target(&mut self, cells: &[Cow<'_, str>]) -> Result<Option<i64>, Stop> {
        let id = self.id.map_or("", |at| &*cells[at]);
        let id = if id == NULL { "" } else { id };
        match (self.operation, self.key) {
            (Operation::Insert, _) | (Operation::Upsert, None) if id.is_empty() => Ok(None),
            (Operation::Insert, _) => {
                let message = "cannot specify Id in an insert call";
                Err(RowError::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on("Id").into())
            }
            (Operation::Upsert, Some((_, key))) if !id.is_empty() => {
                let name = &key.name;
                let message = format!(
                    "cannot specify both an external ID reference {name} and a salesforce id, Id"
                );
                Err(RowError::new("INVALID_FIELD", message).into())
            }
            (Operation::Upsert, Some((cell, _))) => self.matching(&cells[cell]),
            _ if id.is_empty() => {
                let message = "Id not specified in an update call";
                Err(RowError::new("MISSING_ARGUMENT", message).into())
            }
            _ => match self.lookup(id)? {
                (_, true) => Err(gone().into()),
                (n, false) => Ok(Some(n)),
            },
        }
    }

    /// The record that an upsert's key means.
    fn matching(&mut self, value: &str) -> Result<Option<i64>, Stop> {
        let (Some(find), Some((_, key))) = (&mut self.by_key, self.key) else { return Ok(None) };
        let name = &key.name;
        if value.is_empty() || value == NULL {
            let message = format!("{name} not specified");
            return Err(RowError::new("MISSING_ARGUMENT", message).into());
        }
        let value = value::read(key, value)?;
        let found: Vec<i64> =
            find.query_map([value], |row| row.get(0))?.collect::<Result<_, _>>()?;
        match found[..] {
            [] => Ok(None),
            [n] => Ok(Some(n)),
            _ => Err(ambiguous(key).into()),
        }
    }

    /// The number of a record, and whether it is in the recycle bin.
    fn lookup(&mut self, id: &str) -> Result<(i64, bool), Stop> {
        let n = number(self.object, id)?;
        let deleted = self.find.query_row([n], |row| row.get(0)).optional()?;
        Ok((n, deleted.ok_or_else(no_such)?))
    }

    fn delete(&mut self, id: &str) -> Result<i64, Stop> {
        if id.is_empty() || id == NULL {
            return Err(RowError::new("INVALID_ID_FIELD", "invalid record id").into());
        }
        let (n, deleted) = self.lookup(id)?;
        if deleted && self.operation == Operation::Delete {
            return Err(gone().into());
        }
        self.bin.delete(self.object, n)?;
        Ok(n)
    }

    /// Reads the values of a row; the first one that is wrong decides, but missing ones are named
    /// together.
    fn read<'a>(&mut self, cells: &'a [Cow<'_, str>], is_new: bool) -> Result<Vec<Cell<'a>>, Stop>
    where
        'o: 'a,
    {
        if let Some(locked) = self.locked.iter().find(|locked| locked.is_given(cells)) {
            return Err(not_writable(locked.field).into());
        }
        let mut values = Vec::with_capacity(self.targets.len());
        let mut missing: Vec<&Field> = if is_new { self.missing.clone() } else { Vec::new() };
        for target in &mut self.targets {
            let value = target.read(self.object, cells, self.files)?;
            let field = target.field;
            let unset = is_new && value == Cell::Silent && field.default.is_none();
            if field.required && (unset || value == Cell::Set(Value::Null)) {
                missing.push(field);
            }
            values.push(value);
        }
        if missing.is_empty() { Ok(values) } else { Err(required(&missing).into()) }
    }

    fn check_unique(&mut self, target: Option<i64>, values: &[Cell<'_>]) -> Result<(), Stop> {
        for (at, find) in &mut self.unique {
            let Cell::Set(value) = values[*at] else { continue };
            let mut found = find.query_map([value], |row| row.get(0))?;
            if let Some(n) = found.find(|n| !matches!(n, Ok(n) if Some(*n) == target)) {
                let name = &self.targets[*at].field.name;
                let id = ids::long(&self.object.prefix, n?);
                let message = format!(
                    "duplicate value found: {name} duplicates value on record with id: {id}"
                );
                return Err(RowError::new("DUPLICATE_VALUE", message).on(name).into());
            }
        }
        Ok(())
    }

    /// Sees that the records that are referred to by their ids exist.
    fn check_references(&mut self, values: &[Cell<'_>]) -> Result<(), Stop> {
        for (target, cell) in self.targets.iter().zip(values) {
            let field = target.field;
            let (Kind::Reference(objects), Cell::Set(Value::Id(id))) = (&field.kind, cell) else {
                continue;
            };
            if target.sources.iter().all(|source| source.parent.is_some()) {
                continue;
            }
            let id = String::from_utf8_lossy(id);
            let Some((prefix, n)) = ids::read(&id) else { continue };
            let object = self.schema.by_prefix(prefix);
            match object.filter(|object| objects.contains(&object.name)) {
                Some(object) => self.known.check(self.db, object, n)?,
                None => return Err(value::wrong_id(field, &id).into()),
            }
        }
        Ok(())
    }

    fn create(&mut self, values: &[Cell<'_>]) -> rusqlite::Result<i64> {
        let n = self.next;
        let insert = &mut self.insert;
        insert.raw_bind_parameter(1, n)?;
        insert.raw_bind_parameter(2, self.now)?;
        let id = ids::long(&self.object.prefix, n);
        let or_default = |field| default(field, &id).unwrap_or(Value::Null);
        let given = self.targets.iter().zip(values).map(|(target, cell)| match cell {
            Cell::Set(value) => *value,
            Cell::Silent => or_default(target.field),
        });
        for (at, value) in
            (3..).zip(given.chain(self.defaults.iter().map(|field| or_default(field))))
        {
            insert.raw_bind_parameter(at, value)?;
        }
        insert.raw_execute()?;
        self.next += 1;
        Ok(n)
    }

    fn change(&mut self, n: i64, values: &[Cell<'_>]) -> rusqlite::Result<()> {
        let update = &mut self.update;
        update.raw_bind_parameter(1, n)?;
        update.raw_bind_parameter(2, self.now)?;
        for (at, cell) in (3..).step_by(2).zip(values) {
            let (set, value) = match cell {
                Cell::Set(value) => (true, *value),
                Cell::Silent => (false, Value::Null),
            };
            update.raw_bind_parameter(at, set)?;
            update.raw_bind_parameter(at + 1, value)?;
        }
        update.raw_execute().map(drop)
    }
}

impl Target<'_, '_> {
    fn is_given(&self, cells: &[Cow<'_, str>]) -> bool {
        self.sources.iter().any(|source| !cells[source.cell].is_empty())
    }

    /// The value of the field in a record of an object.
    fn read<'a>(
        &mut self,
        of: &Object,
        cells: &'a [Cow<'_, str>],
        files: Option<&'a Archive>,
    ) -> Result<Cell<'a>, Stop> {
        let field = self.field;
        let mut read = Cell::Silent;
        for Source { cell, parent } in &mut self.sources {
            let value = match (&*cells[*cell], parent) {
                ("", _) => continue,
                (NULL, _) if field.kind == Kind::Boolean => Value::Int(0),
                (NULL, _) => Value::Null,
                (key, Some(parent)) => Value::Id(parent.id(key)?),
                (text, None) if field.kind == Kind::Base64 => {
                    let file = files.ok_or("there is no zip file").and_then(|f| f.file(text));
                    Value::Blob(file.map_err(|why| no_file(field, text, why))?)
                }
                (text, None) => value::read(field, text)?,
            };
            if read != Cell::Silent {
                return Err(named_twice(of, field).into());
            }
            read = Cell::Set(value);
        }
        Ok(read)
    }
}

impl Parent<'_, '_> {
    /// The id of the record that a key means.
    fn id(&mut self, text: &str) -> Result<[u8; 18], Stop> {
        if let Some((_, id)) = self.last.as_ref().filter(|(last, _)| last == text) {
            return Ok(*id);
        }
        let (key, object) = (self.key, self.object);
        let value = match key.kind {
            Kind::Id => Value::Int(number(object, text)?),
            _ => value::read(key, text)?,
        };
        let found: Vec<i64> =
            self.find.query_map([value], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let [n] = found[..] else {
            let (shown, key_name): (String, _) = (text.chars().take(255).collect(), &key.name);
            let message = format!(
                "Foreign key external ID: {shown} not found for field {key_name} in entity {}",
                object.name
            );
            let none = RowError::new("INVALID_FIELD", message);
            return Err(if found.is_empty() { none } else { ambiguous(key) }.into());
        };
        let id = ids::full(&ids::long(&object.prefix, n)).unwrap_or_default();
        self.last = self.keeps.then(|| (text.to_owned(), id));
        Ok(id)
    }
}

fn all_targets<'c, 'o>(
    db: &'c Connection,
    schema: &'o Schema,
    object: &'o Object,
    columns: &[Column],
) -> rusqlite::Result<Vec<Target<'c, 'o>>> {
    let mut targets: Vec<Target<'c, 'o>> = Vec::with_capacity(columns.len());
    for (cell, column) in columns.iter().enumerate() {
        let parent = column.via.as_ref().and_then(|via| {
            let parent = schema.object(&via.object)?;
            Some((parent, parent.field(&via.key)?))
        });
        let parent = match parent {
            Some((parent, key)) => {
                let (find, keeps) = (same(db, parent, key)?, parent.name != object.name);
                Some(Parent { object: parent, key, find, last: None, keeps })
            }
            None => None,
        };
        let (source, field) = (Source { cell, parent }, &object.fields[column.field]);
        match targets.iter_mut().find(|target| std::ptr::eq(target.field, field)) {
            Some(known) => known.sources.push(source),
            None => targets.push(Target { field, sources: vec![source] }),
        }
    }
    Ok(targets)
}

/// Finds the records with the same value, two at most.
fn same<'c>(
    db: &'c Connection,
    object: &Object,
    field: &Field,
) -> rusqlite::Result<CachedStatement<'c>> {
    let (table, column) = (object.table(), field.sql("t"));
    db.prepare_cached(&format!(
        "SELECT n FROM {table} AS t WHERE {column} = ? AND deleted = 0 LIMIT 2"
    ))
}

/// `INSERT` with a parameter for the number, one for both dates, and one for each field.
fn insert_sql<'a>(object: &Object, fields: impl Iterator<Item = &'a Field>) -> String {
    let (mut names, mut values) = (String::new(), String::new());
    for (at, field) in (3..).zip(fields) {
        let _ = write!(names, ", {}", field.column());
        let _ = write!(values, ", ?{at}");
    }
    let table = object.table();
    format!(
        "INSERT INTO {table} (n, CreatedDate, LastModifiedDate{names}) VALUES (?1, ?2, ?2{values})"
    )
}

/// `UPDATE` with two parameters for each field: whether it changes, and to what. So one statement
/// does for every row, whichever of its cells are empty.
fn update_sql(object: &Object, targets: &[Target<'_, '_>]) -> String {
    let mut sql = format!("UPDATE {} SET LastModifiedDate = ?2", object.table());
    for (at, target) in (3..).step_by(2).zip(targets) {
        let column = target.field.column();
        let _ = write!(sql, ", {column} = iif(?{at}, ?{}, {column})", at + 1);
    }
    sql + " WHERE n = ?1"
}

/// What a field of a new record is without a word about it; `own` is the record's id.
fn default<'a>(field: &'a Field, own: &'a str) -> Option<Value<'a>> {
    match field.default.as_deref() {
        Some("id") => Some(Value::Text(own)),
        Some(text) => value::read(field, text).ok(),
        None => (field.kind == Kind::Boolean).then_some(Value::Int(0)),
    }
}

/// Which records are there to be referred to. Rows of one parent often follow each other, so the
/// last answer is kept.
#[derive(Default)]
struct References<'c> {
    statements: HashMap<String, Statement<'c>>,
    last: Option<(String, i64)>,
}

impl<'c> References<'c> {
    fn check(&mut self, db: &'c Connection, object: &Object, n: i64) -> Result<(), Stop> {
        if self.last.as_ref().is_some_and(|(name, last)| *last == n && *name == object.name) {
            return Ok(());
        }
        let find = match self.statements.entry(object.name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let sql = format!("SELECT deleted FROM {} WHERE n = ?", object.table());
                new.insert(db.prepare(&sql)?)
            }
        };
        if find.query_row([n], |row| row.get(0)).optional()?.ok_or_else(no_such)? {
            return Err(gone().into());
        }
        self.last = Some((object.name.clone(), n));
        Ok(())
    }
}

/// The number in an id that must be one of this object.
fn number(object: &Object, id: &str) -> Result<i64, RowError> {
    ids::number(&object.prefix, id).ok_or_else(|| {
        let message = format!("{} ID: id value of incorrect type: {id}", object.label);
        RowError::new("MALFORMED_ID", message).on("Id")
    })
}

fn ambiguous(key: &Field) -> RowError {
    let name = &key.name;
    let message = format!("{name}: more than one record found for external id field");
    RowError::new("DUPLICATE_EXTERNAL_ID", message).on(name)
}

fn named_twice(object: &Object, field: &Field) -> RowError {
    let name = &object.name;
    let message = format!(
        "More than 1 field provided in an external foreign key reference in entity: {name}"
    );
    RowError::new("INVALID_FIELD", message).on(&field.name)
}

fn no_file(field: &Field, text: &str, why: &str) -> RowError {
    let shown: String = text.chars().take(255).collect();
    let message = format!("{}: {why}: {shown}", field.label);
    RowError::new("INVALID_FIELD", message).on(&field.name)
}

fn gone() -> RowError {
    RowError::new("ENTITY_IS_DELETED", "entity is deleted")
}

fn no_such() -> RowError {
    RowError::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
}

fn required(missing: &[&Field]) -> RowError {
    let names: Vec<&str> = missing.iter().map(|field| field.name.as_str()).collect();
    let message = format!("Required fields are missing: [{}]", names.join(", "));
    names
        .iter()
        .fold(RowError::new("REQUIRED_FIELD_MISSING", message), |error, name| error.on(name))
}

fn not_writable(field: &Field) -> RowError {
    let name = &field.name;
    let message = format!(
        "Unable to create/update fields: {name}. Please check the security settings of this field and verify that \
         it is read/write for your profile or permission set."
    );
    RowError::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on(name)
}
