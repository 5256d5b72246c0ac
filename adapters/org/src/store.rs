//! The database: tables of records, custom objects and fields, stored files, the clock.
//!
//! Each object has a table of its own, `r_Name`: `n`, the number its ids are made of; `deleted`, 1
//! for a record in the recycle bin; and a column for each stored field. Names in SQL come from the
//! schema alone, values are always bound.

use std::io::Read;
use std::time::Duration;

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::OrgError;
use crate::schema::{self, CUSTOM_FIELDS, Field, Object, Schema};
use crate::{ids, jobs};

/// How long an org waits to be opened while another process has it.
const PATIENCE: Duration = Duration::from_secs(3);
/// As many statements are kept ready: a delete of an account, with all that goes with it, needs
/// some forty.
const STATEMENTS: usize = 128;

/// The records a new org has: the practice user and what such a record needs, the standard price
/// book, a folder and a queue. They are older than the org's clock.
const SEED: &str = "
    INSERT OR IGNORE INTO r_Organization
        (n, CreatedDate, LastModifiedDate, Name, OrganizationType, InstanceName, IsSandbox,
         DefaultLocaleSidKey, LanguageLocaleKey, TimeZoneSidKey)
        VALUES (1, 0, 0, 'Practice', 'Developer Edition', 'PRAC1', 0, 'en_US', 'en_US', 'GMT');
    INSERT OR IGNORE INTO r_Profile (n, CreatedDate, LastModifiedDate, Name, UserType)
        VALUES (1, 0, 0, 'System Administrator', 'Standard'),
               (2, 0, 0, 'Standard User', 'Standard');
    INSERT OR IGNORE INTO r_UserRole
        (n, CreatedDate, LastModifiedDate, Name, DeveloperName, OpportunityAccessForAccountOwner,
         CaseAccessForAccountOwner, ContactAccessForAccountOwner)
        VALUES (1, 0, 0, 'CEO', 'CEO', 'Edit', 'Edit', 'Edit');
    INSERT OR IGNORE INTO r_User
        (n, CreatedDate, LastModifiedDate, Username, FirstName, LastName, Email, Alias, IsActive,
         TimeZoneSidKey, LocaleSidKey, LanguageLocaleKey, EmailEncodingKey, ProfileId, UserRoleId)
        VALUES (1, 0, 0, 'practice@example.com', 'Practice', 'User', 'practice@example.com',
         'practice', 1, 'GMT', 'en_US', 'en_US', 'UTF-8', '00e000000000001AAA',
         '00E000000000001EAA');
    INSERT OR IGNORE INTO r_Group
        (n, CreatedDate, LastModifiedDate, Name, DeveloperName, Type, DoesSendEmailToMembers,
         DoesIncludeBosses)
        VALUES (1, 0, 0, 'Practice Queue', 'Practice_Queue', 'Queue', 0, 0);
    INSERT OR IGNORE INTO r_Folder
        (n, CreatedDate, LastModifiedDate, Name, DeveloperName, Type, AccessType, IsReadonly)
        VALUES (1, 0, 0, 'Shared Documents', 'SharedDocuments', 'Document', 'Public', 0);
    INSERT OR IGNORE INTO r_Pricebook2
        (n, CreatedDate, LastModifiedDate, Name, IsActive, IsStandard)
        VALUES (1, 0, 0, 'Standard Price Book', 1, 1);";

/// Makes a database ready: settings, tables, and the schema with all that was added to it.
pub(crate) fn prepare(db: &Connection) -> Result<Schema, OrgError> {
    // A practice org may lose the last moments at a power cut, but is never damaged by one (WAL).
    // The lock keeps a second process from giving out the same ids; it waits a moment for a short
    // run to end.
    db.busy_timeout(PATIENCE)?;
    db.create_collation("NOCASE", |a, b| {
        // SQLite's own takes texts for equal that differ behind a NUL.
        let lower = |byte: u8| byte.to_ascii_lowercase();
        a.bytes().map(lower).cmp(b.bytes().map(lower))
    })?;
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -8 * 1024)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    add_functions(db)?;
    let change = db.unchecked_transaction()?;
    change.execute_batch(jobs::TABLES)?;
    let mut schema = Schema::built_in()?;
    let mut customs = change.prepare("SELECT name, prefix FROM _object ORDER BY prefix")?;
    for custom in customs.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (name, prefix) = custom?;
        schema.add(&name, Some(prefix));
    }
    let mut fields = change.prepare("SELECT object, name FROM _field ORDER BY n")?;
    for field in
        fields.query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
    {
        let (object, name) = field?;
        schema.object_mut(&object).into_iter().for_each(|object| object.add(&name));
    }
    for object in schema.objects() {
        create_table(&change, object)?;
    }
    if meta(&change, "seeded")?.is_none() {
        change.execute_batch(SEED)?;
        set_meta(&change, "seeded", 1)?;
    }
    drop((customs, fields));
    change.commit()?;
    Ok(schema)
}

/// Functions in SQL by which a reference finds its record: `number_of(id, prefix)` is the number of
/// the record that an id with this prefix means, or null, and `id_of(prefix, n)` is the way back.
fn add_functions(db: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("number_of", 2, flags, |arguments| {
        let id = arguments.get_raw(0).as_str_or_null()?;
        let prefix = arguments.get_raw(1).as_str()?;
        Ok(id.and_then(|id| ids::number(prefix, id)))
    })?;
    db.create_scalar_function("id_of", 2, flags, |arguments| {
        let n = arguments.get_raw(1).as_i64_or_null()?;
        let prefix = arguments.get_raw(0).as_str()?;
        Ok(n.map(|n| ids::long(prefix, n)))
    })
}

/// Makes the table of an object, or adds the columns that it lacks (the schema file may have grown
/// since).
fn create_table(db: &Connection, object: &Object) -> rusqlite::Result<()> {
    let table = object.table();
    db.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS {table} (n INTEGER PRIMARY KEY, deleted INTEGER NOT NULL DEFAULT 0)"
    ))?;
    let mut columns =
        db.prepare(&format!("SELECT name FROM pragma_table_info('r_{}')", object.name))?;
    let columns: Vec<String> =
        columns.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    for field in object.fields.iter().filter(|field| field.is_stored()) {
        if !columns.contains(&field.name) {
            add_column(db, object, field)?;
        }
        if field.unique || field.lookup {
            index(db, &object.name, field)?;
        }
    }
    Ok(())
}

fn add_column(db: &Connection, object: &Object, field: &Field) -> rusqlite::Result<()> {
    let (table, column, kind) = (object.table(), field.column(), field.kind.column_type());
    db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {kind}"))
}

/// Adds a custom object and returns its name; `None` if there is no prefix left for it.
pub(crate) fn add_object(
    db: &Connection,
    schema: &mut Schema,
    name: &str,
) -> rusqlite::Result<Option<String>> {
    let Some(object) = schema.add(name, None) else { return Ok(None) };
    let change = db.unchecked_transaction()?;
    change.execute("INSERT INTO _object VALUES (?, ?)", params![object.name, object.prefix])?;
    create_table(&change, object)?;
    change.commit()?;
    Ok(Some(object.name.clone()))
}

/// Finds a field, or adds it if it is a custom one; `None` if there is none of that name.
pub(crate) fn ensure_field(
    db: &Connection,
    schema: &mut Schema,
    object: &str,
    name: &str,
) -> rusqlite::Result<Option<Field>> {
    let Some(object) = schema.object_mut(object) else { return Ok(None) };
    if let Some(field) = object.field(name) {
        return Ok(Some(field.clone()));
    }
    if !schema::is_custom_name(name) || object.custom_fields() >= CUSTOM_FIELDS {
        return Ok(None);
    }
    object.add(name);
    let Some(field) = object.field(name) else { return Ok(None) };
    let change = db.unchecked_transaction()?;
    change
        .execute("INSERT INTO _field (object, name) VALUES (?, ?)", params![object.name, name])?;
    add_column(&change, object, field)?;
    change.commit()?;
    Ok(Some(field.clone()))
}

/// Makes looking records up by a field fast.
pub(crate) fn index(db: &Connection, object: &str, field: &Field) -> rusqlite::Result<()> {
    if !field.is_stored() {
        return Ok(());
    }
    let name = &field.name;
    db.execute_batch(&format!(
        "CREATE INDEX IF NOT EXISTS \"x_{object}_{name}\" ON \"r_{object}\" (\"{name}\")"
    ))
}

/// The number the next record of an object gets. Numbers are never given twice, not even when the
/// last record was deleted for good.
pub(crate) fn next_number(db: &Connection, object: &Object) -> rusqlite::Result<i64> {
    let key = format!("next {}", object.name);
    let kept: Option<i64> = meta(db, &key)?;
    let sql = format!("SELECT ifnull(max(n), 0) + 1 FROM {}", object.table());
    let seen: i64 = db.prepare_cached(&sql)?.query_row((), |row| row.get(0))?;
    Ok(kept.unwrap_or(1).max(seen))
}

pub(crate) fn set_next_number(db: &Connection, object: &Object, n: i64) -> rusqlite::Result<()> {
    set_meta(db, &format!("next {}", object.name), n)
}

/// When the org last changed; `None` in a new one.
pub(crate) fn clock(db: &Connection) -> rusqlite::Result<Option<i64>> {
    meta(db, "clock")
}

pub(crate) fn set_clock(db: &Connection, now: i64) -> rusqlite::Result<()> {
    set_meta(db, "clock", now)
}

fn meta(db: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    let mut find = db.prepare_cached("SELECT value FROM _meta WHERE key = ?")?;
    find.query_row([key], |row| row.get(0)).optional()
}

fn set_meta(db: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    let mut set = db.prepare_cached("INSERT OR REPLACE INTO _meta VALUES (?, ?)")?;
    set.execute(params![key, value]).map(drop)
}

/// Something that was said of a job: a header of its creation, by its name in lower case, or its
/// transformation spec.
pub(crate) fn said(db: &Connection, job: i64, name: &str) -> rusqlite::Result<Option<String>> {
    let mut find = db.prepare_cached("SELECT value FROM _said WHERE job = ? AND name = ?")?;
    find.query_row(params![job, name], |row| row.get(0)).optional()
}

pub(crate) fn say(db: &Connection, job: i64, name: &str, value: &str) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO _said VALUES (?, ?, ?)")?;
    insert.execute(params![job, name, value]).map(drop)
}

/// The body of a batch as it was sent.
pub(crate) fn request(db: &Connection, batch: i64) -> rusqlite::Result<Vec<u8>> {
    blob(db, "_request", batch)
}

/// Adds a result file to a batch.
pub(crate) fn add_file(db: &Connection, batch: i64, body: &[u8]) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached("INSERT INTO _file (batch, body) VALUES (?, ?)")?;
    insert.execute(params![batch, body]).map(drop)
}

/// The result files of a batch, in order.
pub(crate) fn files(db: &Connection, batch: i64) -> rusqlite::Result<Vec<i64>> {
    let mut all = db.prepare_cached("SELECT n FROM _file WHERE batch = ? ORDER BY n")?;
    all.query_map([batch], |row| row.get(0))?.collect()
}

pub(crate) fn file(db: &Connection, n: i64) -> rusqlite::Result<Vec<u8>> {
    blob(db, "_file", n)
}

/// Reads a stored body straight into its buffer; as a column it would be copied once more.
fn blob(db: &Connection, table: &str, row: i64) -> rusqlite::Result<Vec<u8>> {
    let mut blob = db.blob_open("main", table, "body", row, true)?;
    let mut body = Vec::with_capacity(blob.len());
    blob.read_to_end(&mut body)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    Ok(body)
}
