//! A row as a record in which parents nest: what JSON and XML have in common.

use super::refused::{Refused, refused};
use super::row::Value;
use crate::info::is_api_name;

/// How a record is written.
pub(super) trait Notation {
    fn open_record(to: &mut Vec<u8>);

    /// Begins a parent, whose type is told if the field may have several.
    fn open_parent(to: &mut Vec<u8>, parent: &str, kind: Option<&str>);

    /// Writes a field, or a parent's. The value is never absent.
    fn field(to: &mut Vec<u8>, name: &str, value: Value<'_>) -> Result<(), Refused>;

    fn close_parent(to: &mut Vec<u8>, parent: &str);

    fn close_record(to: &mut Vec<u8>);
}

/// Where in a record each column's value goes.
#[derive(Debug, Default)]
pub(super) struct Paths {
    columns: Vec<Path>,
    /// The columns in an order in which those of one parent stand together.
    order: Vec<usize>,
    /// Whether a field or a parent is named in two ways, of which a row may have one.
    rivals: bool,
}

/// A column's name, taken apart.
#[derive(Debug)]
struct Path {
    /// The parent and its type.
    parent: Option<(Option<String>, String)>,
    field: String,
}

impl Paths {
    /// Takes the columns that are new.
    pub(super) fn learn(&mut self, names: &[String]) -> Result<(), Refused> {
        for (column, name) in names.iter().enumerate().skip(self.columns.len()) {
            let path = Path::of(name)?;
            let kin = |other: &usize| path.parent.is_some() && self.is_kin(*other, &path);
            let after = self.order.iter().rposition(kin).map_or(self.order.len(), |at| at + 1);
            self.rivals |= self.columns.iter().any(|other| other.rivals(&path));
            self.order.insert(after, column);
            self.columns.push(path);
        }
        Ok(())
    }

    fn is_kin(&self, column: usize, path: &Path) -> bool {
        self.columns.get(column).is_some_and(|other| other.parent == path.parent)
    }

    /// Writes a row, which has one value for each column.
    pub(super) fn write<N: Notation>(
        &self,
        to: &mut Vec<u8>,
        values: &[Value<'_>],
    ) -> Result<(), Refused> {
        let present = || {
            let columns = self.order.iter().map(|&at| (&self.columns[at], values[at]));
            columns.filter(|(_, value)| *value != Value::Absent)
        };
        if self.rivals {
            refuse_rivals(present().map(|(path, _)| path))?;
        }
        N::open_record(to);
        let mut open = None;
        for (path, value) in present() {
            let parent = path.parent.as_ref();
            if parent != open {
                if let Some((_, name)) = open {
                    N::close_parent(to, name);
                }
                if let Some((kind, name)) = parent {
                    N::open_parent(to, name, kind.as_deref());
                }
                open = parent;
            }
            N::field(to, &path.field, value).map_err(|why| why.of_column(&path.name()))?;
        }
        if let Some((_, name)) = open {
            N::close_parent(to, name);
        }
        N::close_record(to);
        Ok(())
    }
}

/// Refuses a row in which one member would stand twice.
fn refuse_rivals<'a>(present: impl Iterator<Item = &'a Path>) -> Result<(), Refused> {
    let mut seen: Vec<&Path> = Vec::new();
    for path in present {
        if let Some(other) = seen.iter().find(|other| other.rivals(path)) {
            let (one, other) = (other.name(), path.name());
            return Err(refused(format!("it has both {one:?} and {other:?}")));
        }
        seen.push(path);
    }
    Ok(())
}

impl Path {
    fn of(name: &str) -> Result<Self, Refused> {
        let (kind, rest) = match name.split_once(':') {
            Some((kind, rest)) => (Some(kind), rest),
            None => (None, name),
        };
        let (parent, field) = match rest.split_once('.') {
            Some((parent, field)) => (Some(parent), field),
            None => (None, rest),
        };
        let mut parts = [kind, parent, Some(field)].into_iter().flatten();
        if !parts.all(is_api_name) || (kind.is_some() && parent.is_none()) {
            return Err(refused(
                "names look like Field, Relationship.Field or Type:Relationship.Field",
            )
            .of_column(name));
        }
        let parent = parent.map(|parent| (kind.map(str::to_owned), parent.to_owned()));
        Ok(Self { parent, field: field.to_owned() })
    }

    fn name(&self) -> String {
        match &self.parent {
            Some((Some(kind), parent)) => format!("{kind}:{parent}.{}", self.field),
            Some((None, parent)) => format!("{parent}.{}", self.field),
            None => self.field.clone(),
        }
    }

    /// What the record's member is called in which the value stands.
    fn member(&self) -> &str {
        self.parent.as_ref().map_or(&self.field, |(_, parent)| parent)
    }

    /// Whether both cannot be in one record: they need members of one name.
    fn rivals(&self, other: &Self) -> bool {
        self.member().eq_ignore_ascii_case(other.member())
            && (self.parent != other.parent || self.parent.is_none())
    }
}
