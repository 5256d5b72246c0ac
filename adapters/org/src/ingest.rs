//! Records in: what a batch of an insert, update, upsert, delete or hardDelete job does.
//!
//! The file is read as a whole first; if it cannot be read, or has an unknown column, the batch
//! fails and nothing has happened. Then each record succeeds or fails by itself, top down, and gets
//! one line of the result. All of it is one transaction.
//!
//! An empty cell says nothing about its field, `#N/A` empties it (a boolean becomes false). Text is
//! kept as it came. Where the service is known to be stricter in ways that depend on the org
//! (triggers, validation and duplicate rules, the same record twice in one chunk), this is not.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt::Write as _;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Statement};

use crate::csv::{self, Table};
use crate::ids;
use crate::jobs::{Batch, Job, Operation};
use crate::org::Org;
use crate::schema::{Field, Kind, Object, Schema};
use crate::store;
use crate::value::{self, RowError, Value};
use crate::work::{Outcome, finish};

const NULL: &str = "#N/A";

pub(crate) fn run(org: &mut Org, job: &Job, batch: &Batch) -> rusqlite::Result<Outcome> {
    let body = store::request(&org.db, batch.n)?;
    let text = String::from_utf8_lossy(&body);
    let failed = |message: String| Ok(Outcome::Failed(format!("InvalidBatch : {message}")));
    let table = match Table::parse(&text) {
        Ok(table) if table.rows().len() == 0 => return failed("Records not found".into()),
        Ok(table) => table,
        Err(message) => return failed(message),
    };
    let columns = match columns(org, job, table.header())? {
        Ok(columns) => columns,
        Err(message) => return failed(message),
    };
    let Some(object) = org.schema.object(&job.object) else {
        return failed(format!("Unable to find object: {}", job.object));
    };
    let change = org.db.unchecked_transaction()?;
    let mut loader = Loader::new(&change, &org.schema, object, job, columns, batch.ends)?;
    let mut result = b"\"Id\",\"Success\",\"Created\",\"Error\"\n".to_vec();
    let (mut processed, mut failed) = (0, 0);
    for row in table.rows() {
        processed += 1;
        let outcome = loader.row(row)?;
        failed += i64::from(outcome.is_err());
        write_outcome(&mut result, &object.prefix, outcome);
    }
    store::set_next_number(&change, object, loader.next)?;
    drop(loader);
    store::add_file(&change, batch.n, &result)?;
    finish(&change, batch, processed, failed)?;
    change.commit()?;
    Ok(Outcome::Completed { processed, failed })
}

/// Which field each column is; custom fields are made as they are met. The inner error is a state
/// message.
fn columns(
    org: &mut Org,
    job: &Job,
    header: &[Cow<'_, str>],
) -> rusqlite::Result<Result<Vec<usize>, String>> {
    let Some(object) = org.schema.object(&job.object) else { return Ok(Ok(Vec::new())) };
    let unknown = |name: &str| Ok(Err(format!("Field name not found : {name}")));
    let key = match job.operation {
        Operation::Insert => None,
        Operation::Upsert => job.external.as_deref(),
        _ => Some("Id"),
    };
    // First see that all is well: a file that is refused leaves no new fields behind.
    let is_new = |name: &str| crate::schema::is_custom_name(name) && object.field(name).is_none();
    if let Some(name) = header.iter().find(|name| object.field(name).is_none() && !is_new(name)) {
        return unknown(name);
    }
    if let Some(key) = key.filter(|key| !header.iter().any(|name| name.eq_ignore_ascii_case(key))) {
        return unknown(key);
    }
    let twice = (1..header.len())
        .find(|i| header[..*i].iter().any(|name| name.eq_ignore_ascii_case(&header[*i])));
    if let Some(i) = twice {
        return Ok(Err(format!("Duplicate field name found : {}", header[i])));
    }
    let mut columns = Vec::with_capacity(header.len());
    for name in header {
        store::ensure_field(&org.db, &mut org.schema, &job.object, name)?;
        match org.schema.object(&job.object).and_then(|object| object.position(name)) {
            Some(position) => columns.push(position),
            None => return unknown(name),
        }
    }
    Ok(Ok(columns))
}

/// What became of a record: its number and whether it is new, or why it was not taken.
type RowOutcome = Result<(i64, bool), RowError>;

fn write_outcome(out: &mut Vec<u8>, prefix: &str, outcome: RowOutcome) {
    match outcome {
        Ok((n, created)) => {
            csv::quote(out, ids::long(prefix, n).as_bytes());
            out.extend_from_slice(if created {
                b",\"true\",\"true\",\"\"\n"
            } else {
                b",\"true\",\"false\",\"\"\n"
            });
        }
        Err(error) => {
            out.extend_from_slice(b"\"\",\"false\",\"false\",");
            csv::quote(out, error.to_string().as_bytes());
            out.push(b'\n');
        }
    }
}

/// A column that can be written: which cell it comes from, and its field.
struct Target<'o> {
    cell: usize,
    field: &'o Field,
}

/// What a cell asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell<'a> {
    Silent,
    Set(Value<'a>),
}

/// All that is prepared once for the rows of a batch.
struct Loader<'c, 'o> {
    db: &'c Connection,
    schema: &'o Schema,
    object: &'o Object,
    operation: Operation,
    /// The cell with the record's id.
    id: Option<usize>,
    /// The cell and the field that say which record an upsert means, if that is not the id.
    key: Option<Target<'o>>,
    targets: Vec<Target<'o>>,
    /// Cells of fields that nobody may write.
    locked: Vec<Target<'o>>,
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
    now: i64,
    next: i64,
}

impl<'c, 'o> Loader<'c, 'o> {
    fn new(
        db: &'c Connection,
        schema: &'o Schema,
        object: &'o Object,
        job: &Job,
        columns: Vec<usize>,
        now: i64,
    ) -> rusqlite::Result<Self> {
        let (width, fields) = (columns.len(), &object.fields);
        let all =
            || columns.iter().enumerate().map(|(cell, at)| Target { cell, field: &fields[*at] });
        let id = all().find(|target| target.field.kind == Kind::Id).map(|target| target.cell);
        let keyed = job.external.as_deref().filter(|name| *name != "Id");
        let key = all().find(|target| Some(target.field.name.as_str()) == keyed);
        let (targets, locked): (Vec<_>, Vec<_>) = all()
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
        let same = |field: &Field| {
            let column = field.sql();
            db.prepare_cached(&format!(
                "SELECT n FROM {table} WHERE {column} = ? AND deleted = 0 LIMIT 2"
            ))
        };
        let by_key = key.as_ref().map(|key| same(key.field)).transpose()?;
        let unique = (0..).zip(&targets).filter(|(_, target)| target.field.unique);
        let unique = unique
            .map(|(i, target)| Ok((i, same(target.field)?)))
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self {
            db,
            schema,
            object,
            operation: job.operation,
            id,
            key,
            targets,
            locked,
            width,
            missing,
            defaults,
            insert,
            update,
            find,
            by_key,
            unique,
            known: References::default(),
            now,
            next: store::next_number(db, object)?,
        })
    }

    /// Applies one record. The outer error is the database's.
    fn row(&mut self, cells: &[Cow<'_, str>]) -> rusqlite::Result<RowOutcome> {
        if cells.len() != self.width {
            let message = format!(
                "The row has {} values, the header has {} columns",
                cells.len(),
                self.width
            );
            return Ok(Err(RowError::new("INVALID_FIELD", message)));
        }
        if matches!(self.operation, Operation::Delete | Operation::HardDelete) {
            return self.delete(self.id.map_or("", |at| &cells[at]));
        }
        let target = match self.target(cells)? {
            Ok(target) => target,
            Err(error) => return Ok(Err(error)),
        };
        let mut values = Vec::with_capacity(self.targets.len());
        if let Err(error) = self.read(cells, target, &mut values)? {
            return Ok(Err(error));
        }
        match target {
            Some(n) => self.change(n, &values).map(|()| Ok((n, false))),
            None => self.create(&values).map(|n| Ok((n, true))),
        }
    }

    /// Which record a row means; `None` is a new one.
    fn target(
        &mut self,
        cells: &[Cow<'_, str>],
    ) -> rusqlite::Result<Result<Option<i64>, RowError>> {
        let id = self.id.map_or("", |at| &*cells[at]);
        let id = if id == NULL { "" } else { id };
        match (self.operation, &self.key) {
            (Operation::Insert, _) if id.is_empty() => Ok(Ok(None)),
            (Operation::Insert, _) => {
                let message = "cannot specify Id in an insert call";
                Ok(Err(RowError::new("INVALID_FIELD_FOR_INSERT_UPDATE", message).on("Id")))
            }
            (Operation::Upsert, Some(key)) => {
                let (value, name) = (&cells[key.cell], &key.field.name);
                if !id.is_empty() {
                    let message = format!(
                        "cannot specify both an external ID reference {name} and a salesforce id, Id"
                    );
                    return Ok(Err(RowError::new("INVALID_FIELD", message)));
                }
                if value.is_empty() || value == NULL {
                    return Ok(Err(RowError::new(
                        "MISSING_ARGUMENT",
                        format!("{name} not specified"),
                    )));
                }
                self.matching(value)
            }
            (Operation::Upsert, None) if id.is_empty() => Ok(Ok(None)),
            _ if id.is_empty() => {
                let message = "Id not specified in an update call";
                Ok(Err(RowError::new("MISSING_ARGUMENT", message)))
            }
            _ => Ok(self.alive(id)?.map(Some)),
        }
    }

    /// The record that an upsert's key means.
    fn matching(&mut self, value: &str) -> rusqlite::Result<Result<Option<i64>, RowError>> {
        let (Some(find), Some(key)) = (&mut self.by_key, &self.key) else { return Ok(Ok(None)) };
        let value = match value::read(key.field, value) {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        };
        let found: Vec<i64> =
            find.query_map([value], |row| row.get(0))?.collect::<Result<_, _>>()?;
        Ok(match found[..] {
            [] => Ok(None),
            [n] => Ok(Some(n)),
            _ => {
                let message =
                    format!("{}: more than one record found for external id field", key.field.name);
                Err(RowError::new("DUPLICATE_EXTERNAL_ID", message).on(&key.field.name))
            }
        })
    }

    /// The number of a record that is there.
    fn alive(&mut self, id: &str) -> rusqlite::Result<Result<i64, RowError>> {
        Ok(self.lookup(id)?.and_then(|(n, deleted)| if deleted { Err(gone()) } else { Ok(n) }))
    }

    /// The number of a record, and whether it is in the recycle bin.
    fn lookup(&mut self, id: &str) -> rusqlite::Result<Result<(i64, bool), RowError>> {
        let Some(n) = ids::number(&self.object.prefix, id) else {
            let message = format!("{} ID: id value of incorrect type: {id}", self.object.label);
            return Ok(Err(RowError::new("MALFORMED_ID", message).on("Id")));
        };
        let deleted = self.find.query_row([n], |row| row.get(0)).optional()?;
        Ok(deleted.map(|deleted| (n, deleted)).ok_or_else(no_such))
    }

    fn delete(&mut self, id: &str) -> rusqlite::Result<RowOutcome> {
        if id.is_empty() || id == NULL {
            return Ok(Err(RowError::new("INVALID_ID_FIELD", "invalid record id")));
        }
        let (n, deleted) = match self.lookup(id)? {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let table = self.object.table();
        if self.operation == Operation::HardDelete {
            let mut delete = self.db.prepare_cached(&format!("DELETE FROM {table} WHERE n = ?"))?;
            delete.execute([n])?;
        } else if deleted {
            return Ok(Err(gone()));
        } else {
            let sql = format!("UPDATE {table} SET deleted = 1, LastModifiedDate = ? WHERE n = ?");
            self.db.prepare_cached(&sql)?.execute([self.now, n])?;
        }
        Ok(Ok((n, false)))
    }

    /// Reads and checks the values of a row; the first thing that is wrong decides, but for missing
    /// fields, which are named together.
    fn read<'a>(
        &mut self,
        cells: &'a [Cow<'_, str>],
        target: Option<i64>,
        values: &mut Vec<Cell<'a>>,
    ) -> rusqlite::Result<Result<(), RowError>> {
        if let Some(locked) = self.locked.iter().find(|locked| !cells[locked.cell].is_empty()) {
            return Ok(Err(not_writable(locked.field)));
        }
        let is_new = target.is_none();
        let mut missing: Vec<&Field> = if is_new { self.missing.clone() } else { Vec::new() };
        for column in &self.targets {
            let (field, text) = (column.field, &*cells[column.cell]);
            let cell = match text {
                "" => Cell::Silent,
                NULL if field.kind == Kind::Boolean => Cell::Set(Value::Int(0)),
                NULL => Cell::Set(Value::Null),
                _ => match value::read(field, text) {
                    Ok(value) => Cell::Set(value),
                    Err(error) => return Ok(Err(error)),
                },
            };
            let empty = cell == Cell::Set(Value::Null)
                || is_new && cell == Cell::Silent && field.default.is_none();
            if field.required && empty {
                missing.push(field);
            }
            values.push(cell);
        }
        if !missing.is_empty() {
            return Ok(Err(required(&missing)));
        }
        match self.check_unique(target, values)? {
            Some(error) => Ok(Err(error)),
            None => self.check_references(values),
        }
    }

    fn check_unique(
        &mut self,
        target: Option<i64>,
        values: &[Cell<'_>],
    ) -> rusqlite::Result<Option<RowError>> {
        for (at, find) in &mut self.unique {
            let Cell::Set(value) = values[*at] else { continue };
            let mut found = find.query([value])?;
            while let Some(row) = found.next()? {
                let n = row.get(0)?;
                if Some(n) != target {
                    let name = &self.targets[*at].field.name;
                    let id = ids::long(&self.object.prefix, n);
                    let message = format!(
                        "duplicate value found: {name} duplicates value on record with id: {id}"
                    );
                    return Ok(Some(RowError::new("DUPLICATE_VALUE", message).on(name)));
                }
            }
        }
        Ok(None)
    }

    /// Sees that the records that are referred to exist.
    fn check_references(&mut self, values: &[Cell<'_>]) -> rusqlite::Result<Result<(), RowError>> {
        for (target, cell) in self.targets.iter().zip(values) {
            let (Kind::Reference(objects), Cell::Set(Value::Text(id))) =
                (&target.field.kind, *cell)
            else {
                continue;
            };
            let any = objects.iter().any(|name| name == "*");
            let Some((prefix, n)) = ids::read(id).filter(|_| !any) else { continue };
            let object =
                self.schema.by_prefix(prefix).filter(|object| objects.contains(&object.name));
            let Some(object) = object else { return Ok(Err(value::wrong_id(target.field, id))) };
            if let Err(error) = self.known.check(self.db, object, n)? {
                return Ok(Err(error));
            }
        }
        Ok(Ok(()))
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

/// `INSERT` with a parameter for the number, one for both dates, and one for each field.
fn insert_sql<'a>(object: &Object, fields: impl Iterator<Item = &'a Field>) -> String {
    let (mut names, mut values) = (String::new(), String::new());
    for (at, field) in (3..).zip(fields) {
        let _ = write!(names, ", {}", field.sql());
        let _ = write!(values, ", ?{at}");
    }
    let table = object.table();
    format!(
        "INSERT INTO {table} (n, CreatedDate, LastModifiedDate{names}) VALUES (?1, ?2, ?2{values})"
    )
}

/// `UPDATE` with two parameters for each field: whether it changes, and to what. So one statement
/// does for every row, whichever of its cells are empty.
fn update_sql(object: &Object, targets: &[Target<'_>]) -> String {
    let mut sql = format!("UPDATE {} SET LastModifiedDate = ?2", object.table());
    for (at, target) in (3..).step_by(2).zip(targets) {
        let column = target.field.sql();
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
    fn check(
        &mut self,
        db: &'c Connection,
        object: &Object,
        n: i64,
    ) -> rusqlite::Result<Result<(), RowError>> {
        if self.last.as_ref().is_some_and(|(name, last)| *last == n && *name == object.name) {
            return Ok(Ok(()));
        }
        let find = match self.statements.entry(object.name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(
                db.prepare(&format!("SELECT deleted FROM {} WHERE n = ?", object.table()))?,
            ),
        };
        match find.query_row([n], |row| row.get(0)).optional()? {
            Some(false) => self.last = Some((object.name.clone(), n)),
            Some(true) => return Ok(Err(gone())),
            None => return Ok(Err(no_such())),
        }
        Ok(Ok(()))
    }
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
