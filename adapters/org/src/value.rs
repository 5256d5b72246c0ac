//! Values: from the text of a cell into the database and back, by the type of the field.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::csv;
use crate::schema::{Field, Kind};
use crate::{calendar, ids};

/// A value on its way into a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Null,
    Text(&'a str),
    Blob(&'a [u8]),
    /// An id in its long form, so that both forms are the same value.
    Id([u8; 18]),
    Int(i64),
    Real(f64),
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Id(id) => ValueRef::Text(id),
            Self::Int(n) => ValueRef::Integer(*n),
            Self::Real(x) => ValueRef::Real(*x),
        }))
    }
}

/// Why a record was not taken, in the vendor's words.
#[derive(Debug)]
pub(crate) struct RowError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) fields: Vec<String>,
}

impl RowError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new() }
    }

    pub(crate) fn on(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }
}

impl fmt::Display for RowError {
    /// `CODE:message:Field Field --`; without fields there is no blank before the dashes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.code, self.message)?;
        self.fields.iter().try_for_each(|field| write!(f, "{field} "))?;
        f.write_str("--")
    }
}

/// Reads a cell that is neither empty nor `#N/A`. Whether the record behind an id exists is for
/// the caller to see.
pub(crate) fn read<'a>(field: &Field, text: &'a str) -> Result<Value<'a>, RowError> {
    match &field.kind {
        Kind::Text(max) => short_enough(field, text, *max),
        Kind::Picklist(list) if list.restricted && !list.values.iter().any(|v| v == text) => {
            let shown: String = text.chars().take(255).collect();
            let message =
                format!("{}: bad value for restricted picklist field: {shown}", field.label);
            Err(RowError::new("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message).on(&field.name))
        }
        Kind::Picklist(_) => short_enough(field, text, 255),
        Kind::Email if is_email(text) => short_enough(field, text, 80),
        Kind::Email => {
            let message = format!("{}: invalid email address: {text}", field.label);
            Err(RowError::new("INVALID_EMAIL_ADDRESS", message).on(&field.name))
        }
        Kind::Boolean => match text {
            _ if text.eq_ignore_ascii_case("true") || text == "1" => Ok(Value::Int(1)),
            _ if text.eq_ignore_ascii_case("false") || text == "0" => Ok(Value::Int(0)),
            _ => Err(wrong_type(field, text)),
        },
        Kind::Int => match text.parse::<i32>() {
            Ok(n) => Ok(Value::Int(n.into())),
            Err(_) => Err(wrong_type(field, text)),
        },
        Kind::Number { precision, scale } => number(field, text, precision.saturating_sub(*scale)),
        Kind::Date if calendar::is_date(text) => Ok(Value::Text(text)),
        // A moment means its day, as it is written in UTC: Data Loader sends dates so.
        Kind::Date if text.ends_with('Z') && calendar::read_instant(text).is_some() => {
            Ok(Value::Text(text.get(..10).unwrap_or(text)))
        }
        Kind::DateTime => match calendar::read_instant(text) {
            Some(ms) => Ok(Value::Int(ms)),
            None => Err(wrong_type(field, text)),
        },
        Kind::Date | Kind::Base64 | Kind::Address => Err(wrong_type(field, text)),
        Kind::Reference(_) | Kind::Id => match ids::full(text) {
            Some(id) => Ok(Value::Id(id)),
            None => Err(wrong_id(field, text)),
        },
    }
}

/// `MALFORMED_ID`: not an id, or one of another object.
pub(crate) fn wrong_id(field: &Field, text: &str) -> RowError {
    let message = format!("{}: id value of incorrect type: {text}", field.label);
    RowError::new("MALFORMED_ID", message).on(&field.name)
}

fn wrong_type(field: &Field, text: &str) -> RowError {
    let message = format!("{}: value not of required type: {text}", field.label);
    RowError::new("INVALID_TYPE_ON_FIELD_IN_RECORD", message).on(&field.name)
}

fn short_enough<'a>(field: &Field, text: &'a str, max: usize) -> Result<Value<'a>, RowError> {
    if text.len() <= max || text.chars().count() <= max {
        return Ok(Value::Text(text));
    }
    let shown: String = text.chars().take(255).collect();
    let message = format!("{}: data value too large: {shown} (max length={max})", field.label);
    Err(RowError::new("STRING_TOO_LONG", message).on(&field.name))
}

/// Decimal or scientific; never "NaN" or "inf", which Rust would read too.
fn number<'a>(field: &Field, text: &str, digits: usize) -> Result<Value<'a>, RowError> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    let Some(x) = text.parse::<f64>().ok().filter(|_| plain) else {
        return Err(wrong_type(field, text));
    };
    // Every field has 18 digits at most: this cannot lose more than the comparison bears.
    let most = 10_f64.powi(i32::try_from(digits).unwrap_or(i32::MAX));
    if x.abs() < most {
        return Ok(Value::Real(x));
    }
    let shown = if x.is_finite() { java_double(x) } else { text.to_owned() };
    let message =
        format!("{}: value outside of valid range on numeric field: {shown}", field.label);
    Err(RowError::new("NUMBER_OUTSIDE_VALID_RANGE", message).on(&field.name))
}

/// Something before one `@`, a dotted name behind it, and no blanks or controls.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && !"@,;<>()\"[]\\:".contains(c);
    let labels = domain.split('.');
    !local.is_empty()
        && local.len() <= 64
        && text.replacen('@', "", 1).chars().all(fits)
        && labels.clone().count() >= 2
        && labels.clone().all(|label| !label.is_empty())
}

/// Writes what a column holds as a quoted cell; null is an empty one.
pub(crate) fn write_cell(out: &mut Vec<u8>, kind: &Kind, prefix: &str, value: ValueRef<'_>) {
    csv::quote(out, &text(kind, prefix, value));
}

/// What a column holds as CSV and XML write it; null is nothing.
pub(crate) fn text<'a>(kind: &Kind, prefix: &str, value: ValueRef<'a>) -> Cow<'a, [u8]> {
    let text = match (kind, value) {
        (_, ValueRef::Null) => return b"".into(),
        (_, ValueRef::Text(text) | ValueRef::Blob(text)) => return text.into(),
        (Kind::Boolean, ValueRef::Integer(0)) => return b"false".into(),
        (Kind::Boolean, ValueRef::Integer(_)) => return b"true".into(),
        (Kind::Id, ValueRef::Integer(n)) => ids::long(prefix, n),
        (Kind::DateTime, ValueRef::Integer(ms)) => calendar::instant(ms),
        (_, ValueRef::Integer(n)) => n.to_string(),
        (_, ValueRef::Real(x)) => java_double(x),
    };
    Cow::Owned(text.into_bytes())
}

/// A double as Java prints it: `23456.0`, `1.25E8`, `1.0E-4`. (The digits are the fewest that read
/// back as the same number.)
pub(crate) fn java_double(x: f64) -> String {
    let mut text = String::new();
    if x == 0.0 || (1e-3..1e7).contains(&x.abs()) {
        let _ = write!(text, "{x:?}");
        return text;
    }
    let scientific = format!("{x:E}");
    let (digits, exponent) = scientific.split_once('E').unwrap_or((&scientific, "0"));
    let point = if digits.contains('.') { "" } else { ".0" };
    let _ = write!(text, "{digits}{point}E{exponent}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    fn field(object: &str, name: &str) -> Field {
        Schema::built_in().unwrap().object(object).unwrap().field(name).unwrap().clone()
    }

    #[test]
    fn doubles_are_written_as_java_does() {
        for (x, text) in [
            (23_456.0, "23456.0"),
            (1.25e8, "1.25E8"),
            (1e7, "1.0E7"),
            (9_999_999.5, "9999999.5"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (-125_000.5, "-125000.5"),
            (0.0, "0.0"),
            (-3e20, "-3.0E20"),
        ] {
            assert_eq!(java_double(x), text);
        }
    }

    #[test]
    fn values_are_read_by_type() {
        let revenue = field("Account", "AnnualRevenue");
        assert_eq!(read(&revenue, "1.5E7").unwrap(), Value::Real(1.5e7));
        let employees = field("Account", "NumberOfEmployees");
        assert_eq!(read(&employees, "-42").unwrap(), Value::Int(-42));
        let call = field("Contact", "DoNotCall");
        assert_eq!(read(&call, "TRUE").unwrap(), Value::Int(1));
        assert_eq!(read(&call, "0").unwrap(), Value::Int(0));
        let email = field("Contact", "Email");
        assert!(read(&email, "ada.byron+x@mail.example.org").is_ok());
        let reminder = field("Task", "ReminderDateTime");
        assert_eq!(read(&reminder, "1970-01-01T01:00:00+01:00").unwrap(), Value::Int(0));
    }

    #[test]
    fn errors_speak_as_the_vendor_does() {
        for (object, name, text, error) in [
            (
                "Contact",
                "LastName",
                &*"x".repeat(81),
                "STRING_TOO_LONG:Last Name: data value too large: ",
            ),
            (
                "Contact",
                "Email",
                "ada@home",
                "INVALID_EMAIL_ADDRESS:Email: invalid email address: ada@home:Email --",
            ),
            (
                "Account",
                "NumberOfEmployees",
                "1.5",
                "INVALID_TYPE_ON_FIELD_IN_RECORD:Employees: value not of required type: 1.5:NumberOfEmployees --",
            ),
            ("Account", "AnnualRevenue", "NaN", "INVALID_TYPE_ON_FIELD_IN_RECORD:Annual Revenue: "),
            (
                "Account",
                "AnnualRevenue",
                "1e16",
                "NUMBER_OUTSIDE_VALID_RANGE:Annual Revenue: value outside of valid range on numeric field: 1.0E16:AnnualRevenue --",
            ),
            ("Account", "AnnualRevenue", "1e999", "NUMBER_OUTSIDE_VALID_RANGE:"),
            ("Contact", "Birthdate", "1940-06-07Z", "INVALID_TYPE_ON_FIELD_IN_RECORD:Birthdate: "),
            ("Contact", "DoNotCall", "yes", "INVALID_TYPE_ON_FIELD_IN_RECORD:Do Not Call: "),
            (
                "Contact",
                "AccountId",
                "17",
                "MALFORMED_ID:Account ID: id value of incorrect type: 17:AccountId --",
            ),
        ] {
            let told = read(&field(object, name), text).unwrap_err().to_string();
            assert!(told.starts_with(error), "{told}");
        }
        let deleted = RowError::new("ENTITY_IS_DELETED", "entity is deleted");
        assert_eq!(deleted.to_string(), "ENTITY_IS_DELETED:entity is deleted:--");
    }
}
