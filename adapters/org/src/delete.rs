//! Deletes, and what goes with them.
//!
//! Each field that refers to a record says in the schema what becomes of *its* record when that one
//! is deleted (see [`OnDelete`]). All records that have to go are found first; if one of them may
//! not, nothing happens. A delete keeps them in the recycle bin as they are, but empties the fields
//! of others that refer to them. A hardDelete leaves nothing, and takes along what is in the bin.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::ids;
use crate::loader::Stop;
use crate::schema::{Field, Object, OnDelete, Schema};
use crate::store;
use crate::value::RowError;

/// As many records go with one at most; the service has the same bound.
const CASCADE: usize = 100_000;

/// Makes finding what depends on an object's records fast.
pub(crate) fn prepare(db: &Connection, schema: &Schema, object: &Object) -> rusqlite::Result<()> {
    let mut objects = vec![object];
    let mut at = 0;
    while let Some(object) = objects.get(at).copied() {
        at += 1;
        for (child, field) in dependents(schema, object) {
            store::index(db, &child.name, field)?;
            let goes = field.on_delete() != OnDelete::Clear;
            if goes && objects.iter().all(|known| known.name != child.name) {
                objects.push(child);
            }
        }
    }
    Ok(())
}

/// The fields that may refer to an object's records, each with its object.
pub(crate) fn dependents<'o>(schema: &'o Schema, object: &Object) -> Vec<(&'o Object, &'o Field)> {
    let fields = schema.objects().iter().flat_map(|child| {
        child.fields.iter().filter(|field| field.is_stored()).map(move |field| (child, field))
    });
    fields.filter(|(_, field)| field.refers_to(&object.name)).collect()
}

/// Deletes records of an org.
pub(crate) struct Bin<'c, 'o> {
    db: &'c Connection,
    schema: &'o Schema,
    /// Leaves nothing in the recycle bin.
    hard: bool,
    now: i64,
    dependents: HashMap<&'o str, Vec<(&'o Object, &'o Field)>>,
}

/// A record.
type Member<'o> = (&'o Object, i64);

impl<'c, 'o> Bin<'c, 'o> {
    pub(crate) fn new(db: &'c Connection, schema: &'o Schema, hard: bool, now: i64) -> Self {
        Self { db, schema, hard, now, dependents: HashMap::new() }
    }

    /// Deletes a record and all that goes with it.
    pub(crate) fn delete(&mut self, object: &'o Object, n: i64) -> Result<(), Stop> {
        let doomed = self.doomed(object, n)?;
        for (object, n) in &doomed {
            self.put_away(object, *n)?;
        }
        for (object, n) in &doomed {
            self.release(object, *n)?;
        }
        Ok(())
    }

    /// The record and those that go with it, or why it has to stay.
    fn doomed(&mut self, object: &'o Object, n: i64) -> Result<Vec<Member<'o>>, Stop> {
        let mut doomed = vec![(object, n)];
        let mut known = HashSet::from([(object.name.as_str(), n)]);
        let mut in_the_way = Vec::new();
        let mut at = 0;
        while let Some((parent, n)) = doomed.get(at).copied() {
            at += 1;
            for (child, field) in self.dependents(parent) {
                if field.on_delete() == OnDelete::Clear {
                    continue;
                }
                for (n, binned) in self.children(child, field, &ids::long(&parent.prefix, n))? {
                    if field.on_delete() == OnDelete::Refuse && !binned {
                        in_the_way.push((child, n));
                    } else if known.insert((child.name.as_str(), n)) {
                        doomed.push((child, n));
                    }
                }
                if doomed.len() + in_the_way.len() > CASCADE {
                    return Err(failed(object, n, "too many records depend on it").into());
                }
            }
        }
        match in_the_way.iter().find(|(child, n)| !known.contains(&(child.name.as_str(), *n))) {
            Some((child, other)) => {
                let (label, id) = (&child.label, ids::long(&child.prefix, *other));
                Err(failed(object, n, &format!("{label} {id} needs it")).into())
            }
            None => Ok(doomed),
        }
    }

    /// The records that refer to an id by a field, and whether they are in the recycle bin; those
    /// that are count for a hardDelete alone.
    fn children(
        &self,
        child: &Object,
        field: &Field,
        id: &str,
    ) -> rusqlite::Result<Vec<(i64, bool)>> {
        let (table, column, all) = (child.table(), field.column(), self.hard);
        let sql = format!(
            "SELECT n, deleted FROM {table} WHERE {column} = ?1 AND (deleted = 0 OR {all}) LIMIT {}",
            CASCADE + 1
        );
        let mut find = self.db.prepare_cached(&sql)?;
        find.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    fn put_away(&self, object: &Object, n: i64) -> rusqlite::Result<()> {
        let table = object.table();
        if self.hard {
            let sql = format!("DELETE FROM {table} WHERE n = ?");
            self.db.prepare_cached(&sql)?.execute([n])?;
        } else {
            let sql = format!("UPDATE {table} SET deleted = 1, LastModifiedDate = ? WHERE n = ?");
            self.db.prepare_cached(&sql)?.execute([self.now, n])?;
        }
        Ok(())
    }

    /// Empties the fields that still refer to a deleted record.
    fn release(&mut self, object: &'o Object, n: i64) -> rusqlite::Result<()> {
        let id = ids::long(&object.prefix, n);
        for (child, field) in self.dependents(object) {
            if field.on_delete() == OnDelete::Clear {
                let (table, column, all) = (child.table(), field.column(), self.hard);
                let sql = format!(
                    "UPDATE {table} SET {column} = NULL WHERE {column} = ? AND (deleted = 0 OR {all})"
                );
                self.db.prepare_cached(&sql)?.execute([&id])?;
            }
        }
        Ok(())
    }

    fn dependents(&mut self, object: &'o Object) -> Vec<(&'o Object, &'o Field)> {
        let schema = self.schema;
        self.dependents.entry(&object.name).or_insert_with(|| dependents(schema, object)).clone()
    }
}

fn failed(object: &Object, n: i64, why: &str) -> RowError {
    let id = ids::long(&object.prefix, n);
    let message = format!("Your attempt to delete {id} could not be completed because {why}");
    RowError::new("DELETE_FAILED", message)
}
