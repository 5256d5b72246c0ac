//! A query into SQL: names are looked up in the schema, values become parameters.
//!
//! SOQL knows two truth values, SQL three. A comparison with an empty field is false in SOQL (but
//! `!=` is true); in SQL it is unknown, which selects no row either and survives `AND` and `OR`, so
//! only `NOT` has to turn unknown into false first.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write as _;

use super::parse::{Condition, Name, Operand, Operator, Order, Problem, Query};
use super::path::{Column, Tables};
use super::period::Period;
use super::token::Literal;
use crate::schema::{Kind, Object, Schema};
use crate::value::Value;
use crate::{calendar, ids};

/// SQLite takes 32,766 parameters in one statement.
const PARAMETERS: usize = 32_000;
/// SQLite's own bound for patterns lies above; the service's for literals is this.
const PATTERN: usize = 4_000;
/// SQLite's bound for the columns of a result is 2,000; some are left for the ids of parents.
const COLUMNS: usize = 1_900;
/// The service's bound for the fields of an `ORDER BY`.
const ORDERS: usize = 32;

/// A query that can be run.
#[derive(Debug)]
pub(crate) struct Plan<'o> {
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Owned>,
    pub(crate) columns: Vec<Column<'o>>,
    /// The relationships that lead to each record that is told of, the one of the object itself
    /// first. Behind the columns a row has an id for each, or null if there is no such record; the
    /// first is a number.
    pub(crate) records: Vec<Vec<&'o str>>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Text(String),
    Int(i64),
    Real(f64),
}

impl Owned {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Int(n) => Value::Int(*n),
            Self::Real(x) => Value::Real(*x),
        }
    }
}

/// What a query is asked of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'o> {
    pub(crate) schema: &'o Schema,
    pub(crate) object: &'o Object,
    /// Does it find what is in the recycle bin?
    pub(crate) all: bool,
    /// When, for date literals: milliseconds since 1970.
    pub(crate) now: i64,
}

/// Plans a query.
pub(crate) fn plan<'o>(query: &Query<'_>, setting: Setting<'o>) -> Result<Plan<'o>, Problem> {
    let Setting { schema, object, all, now } = setting;
    let tables = Tables::new(schema, object, all);
    let mut planner =
        Planner { object, tables, today: now.div_euclid(calendar::DAY), parameters: Vec::new() };
    let columns = planner.columns(&query.fields)?;
    let mut selected: Vec<String> = columns.iter().map(|column| column.sql.clone()).collect();
    let (records, ids): (_, Vec<_>) = planner.tables.records().unzip();
    selected.extend(ids);
    let mut condition = if all { "1" } else { "t0.deleted = 0" }.to_owned();
    if let Some(asked) = &query.condition {
        condition = format!("{condition} AND {}", planner.condition(asked)?);
    }
    let order = planner.orders(&query.order)?;
    let (selected, tables) = (selected.join(", "), planner.tables.sql());
    // Equal rows come in the order of their ids, so a query has one answer.
    let mut sql = format!("SELECT {selected} FROM {tables} WHERE {condition} ORDER BY {order}t0.n");
    if let Some(limit) = query.limit {
        sql = format!("{sql} LIMIT {limit}");
    }
    Ok(Plan { sql, parameters: planner.parameters, columns, records })
}

struct Planner<'o> {
    object: &'o Object,
    tables: Tables<'o>,
    /// Days since 1970.
    today: i64,
    parameters: Vec<Owned>,
}

impl<'o> Planner<'o> {
    fn columns(&mut self, names: &[Name<'_>]) -> Result<Vec<Column<'o>>, Problem> {
        let mut known = HashSet::new();
        let mut columns = Vec::with_capacity(names.len());
        for name in names {
            let column = self.tables.column(*name)?;
            let unsupported = match column.kind {
                Kind::Address => Some("compound data"),
                Kind::Base64 => Some("binary data"),
                _ => None,
            };
            if let Some(what) = unsupported {
                let text = format!("Selecting {what} not supported in Bulk Query");
                return Err(Problem { code: "FUNCTIONALITY_NOT_ENABLED", at: None, text });
            }
            if !known.insert(column.path.clone()) {
                let text = format!("duplicate field selected: {}", column.name());
                return Err(Problem::new("INVALID_FIELD", name.at, text));
            }
            if columns.len() >= COLUMNS {
                let text = "the query has too many fields";
                return Err(Problem::new("QUERY_TOO_COMPLICATED", name.at, text));
            }
            columns.push(column);
        }
        Ok(columns)
    }

    /// The column of a name that rows are found or sorted by.
    fn compared(&mut self, name: Name<'_>, done: &str) -> Result<Column<'o>, Problem> {
        let column = self.tables.column(name)?;
        if matches!(column.kind, Kind::Address | Kind::Base64) {
            let text = format!("field '{}' can not be {done} in a query call", column.name());
            return Err(Problem::new("INVALID_FIELD", name.at, text));
        }
        Ok(column)
    }

    fn filter(&mut self, name: Name<'_>) -> Result<Column<'o>, Problem> {
        self.compared(name, "filtered")
    }

    fn orders(&mut self, orders: &[Order<'_>]) -> Result<String, Problem> {
        if let Some(order) = orders.get(ORDERS) {
            let text = format!("at most {ORDERS} fields are allowed in ORDER BY");
            return Err(Problem::malformed(order.field.at, text));
        }
        let mut all = String::new();
        for order in orders {
            let column = self.compared(order.field, "sorted")?.sql;
            let way = if order.descending { "DESC" } else { "ASC" };
            let nulls = if order.nulls_last { "LAST" } else { "FIRST" };
            let _ = write!(all, "{column} {way} NULLS {nulls}, ");
        }
        Ok(all)
    }

    fn condition(&mut self, condition: &Condition<'_>) -> Result<String, Problem> {
        match condition {
            Condition::All(terms) => self.join(terms, "AND"),
            Condition::Any(terms) => self.join(terms, "OR"),
            Condition::Not(term) => Ok(format!("NOT ifnull({}, 0)", self.condition(term)?)),
            Condition::Compare { field, operator, value } => self.compare(*field, *operator, value),
            Condition::Like { field, value } => self.like(*field, value),
            Condition::In { field, negated, values } => self.members(*field, *negated, values),
            Condition::Includes { field, negated, values } => {
                self.includes(*field, *negated, values)
            }
        }
    }

    fn join(&mut self, terms: &[Condition<'_>], word: &str) -> Result<String, Problem> {
        let terms: Result<Vec<_>, _> = terms.iter().map(|term| self.condition(term)).collect();
        Ok(halves(&terms?, word))
    }

    fn compare(
        &mut self,
        name: Name<'_>,
        operator: Operator,
        value: &Operand<'_>,
    ) -> Result<String, Problem> {
        let field = self.filter(name)?;
        let column = &field.sql;
        match (operator, value) {
            (Operator::Equal, _) if value.is_empty() => return Ok(format!("{column} IS NULL")),
            (Operator::NotEqual, _) if value.is_empty() => {
                return Ok(format!("{column} IS NOT NULL"));
            }
            (_, Operand::Null) => {
                return Err(Problem::malformed(name.at, "unexpected token: 'null'"));
            }
            (_, Operand::Period(period)) => return self.during(name, &field, operator, *period),
            _ => {}
        }
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && *field.kind == Kind::Boolean {
            return Err(invalid_operator(name, "boolean"));
        }
        let parameter = self.value(name, &field, value)?;
        let sign = match operator {
            Operator::NotEqual => "IS NOT",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal => "=",
        };
        Ok(format!("{column} {sign} {parameter}"))
    }

    /// Compares with a span of days: equal is within, less is before, greater is after.
    fn during(
        &mut self,
        name: Name<'_>,
        field: &Column<'_>,
        operator: Operator,
        period: Period,
    ) -> Result<String, Problem> {
        let (from, to) = period.days(self.today);
        let column = &field.sql;
        let mut compare = |sign: &str, day: i64| {
            let edge = match field.kind {
                Kind::Date => Owned::Text(calendar::date(day)),
                Kind::DateTime => Owned::Int(day * calendar::DAY),
                _ => return Err(wrong_type(name, field)),
            };
            Ok(format!("{column} {sign} {}", self.bind(name, edge)?))
        };
        match operator {
            Operator::Less => compare("<", from),
            Operator::LessOrEqual => compare("<", to),
            Operator::Greater => compare(">=", to),
            Operator::GreaterOrEqual => compare(">=", from),
            Operator::Equal | Operator::NotEqual => {
                let within = format!("({} AND {})", compare(">=", from)?, compare("<", to)?);
                let negated = operator == Operator::NotEqual;
                Ok(if negated { format!("NOT ifnull({within}, 0)") } else { within })
            }
        }
    }

    fn like(&mut self, name: Name<'_>, value: &Operand<'_>) -> Result<String, Problem> {
        let field = self.filter(name)?;
        if !field.kind.is_text() {
            return Err(invalid_operator(name, type_name(field.kind)));
        }
        let Operand::Text(literal) = value else { return Err(wrong_type(name, &field)) };
        if literal.pattern.len() > PATTERN {
            return Err(Problem::malformed(
                name.at,
                format!("a pattern has at most {PATTERN} characters"),
            ));
        }
        let parameter = self.bind(name, Owned::Text(literal.pattern.clone()))?;
        Ok(format!("{} LIKE {parameter} ESCAPE '\\'", field.sql))
    }

    fn members(
        &mut self,
        name: Name<'_>,
        negated: bool,
        values: &[Operand<'_>],
    ) -> Result<String, Problem> {
        let field = self.filter(name)?;
        let column = &field.sql;
        let null = values.iter().any(Operand::is_empty);
        let values = values.iter().filter(|value| !value.is_empty());
        let list: Result<Vec<_>, _> = values.map(|value| self.value(name, &field, value)).collect();
        // An empty field is in the list if `null` is, and not in it if `null` is not.
        let member = format!("ifnull({column} IN ({}), 0)", list?.join(", "));
        let member = if null { format!("({member} OR {column} IS NULL)") } else { member };
        Ok(if negated { format!("NOT {member}") } else { member })
    }

    /// Does a field have one of these among its values? Custom fields alone can have several:
    /// the org has no other multi-select picklists.
    fn includes(
        &mut self,
        name: Name<'_>,
        negated: bool,
        values: &[Literal],
    ) -> Result<String, Problem> {
        let field = self.filter(name)?;
        if !field.path.last().is_some_and(|last| last.ends_with("__c")) {
            return Err(invalid_operator(name, type_name(field.kind)));
        }
        let mut terms = Vec::with_capacity(values.len());
        for value in values {
            let mut parts = Vec::new();
            for part in value.text.split(';') {
                let wanted = Owned::Text(format!(";{};", part.to_ascii_lowercase()));
                let wanted = self.bind(name, wanted)?;
                parts.push(format!("instr(lower(';' || {} || ';'), {wanted}) > 0", field.sql));
            }
            terms.push(halves(&parts, "AND"));
        }
        let any = format!("ifnull({}, 0)", halves(&terms, "OR"));
        Ok(if negated { format!("NOT {any}") } else { any })
    }

    /// Binds a value as the field stores it.
    fn value(
        &mut self,
        name: Name<'_>,
        field: &Column<'_>,
        value: &Operand<'_>,
    ) -> Result<String, Problem> {
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
            text.parse::<f64>().ok().filter(|x| plain && x.is_finite())
        };
        let owned = match (field.kind, value) {
            (kind, Operand::Text(literal)) if kind.is_text() => {
                Some(Owned::Text(literal.text.clone()))
            }
            (Kind::Id, Operand::Text(literal)) => {
                Some(Owned::Int(self.own_number(name, &literal.text)?))
            }
            (Kind::Reference(_), Operand::Text(literal)) => {
                let id = ids::full(&literal.text).ok_or_else(|| invalid_id(name, &literal.text))?;
                Some(Owned::Text(String::from_utf8_lossy(&id).into_owned()))
            }
            (Kind::Boolean, Operand::Boolean(b)) => Some(Owned::Int((*b).into())),
            (Kind::Int | Kind::Number { .. }, Operand::Number(text)) => {
                number(text).map(Owned::Real)
            }
            (Kind::Date, Operand::Number(text)) => {
                calendar::is_date(text).then(|| Owned::Text((*text).to_owned()))
            }
            (Kind::DateTime, Operand::Number(text)) => calendar::read_instant(text).map(Owned::Int),
            _ => None,
        };
        self.bind(name, owned.ok_or_else(|| wrong_type(name, field))?)
    }

    /// The number of a record by its id. An id of another object is a number that no record has,
    /// below or above all of them as its prefix is: ranges of ids are asked for.
    fn own_number(&self, name: Name<'_>, id: &str) -> Result<i64, Problem> {
        let (prefix, n) = ids::read(id).ok_or_else(|| invalid_id(name, id))?;
        Ok(match prefix.cmp(self.object.prefix.as_str()) {
            Ordering::Less => -1,
            Ordering::Equal => n,
            Ordering::Greater => i64::MAX,
        })
    }

    fn bind(&mut self, name: Name<'_>, value: Owned) -> Result<String, Problem> {
        if self.parameters.len() >= PARAMETERS {
            let text = "the query has too many values";
            return Err(Problem::new("QUERY_TOO_COMPLICATED", name.at, text));
        }
        self.parameters.push(value);
        Ok(format!("?{}", self.parameters.len()))
    }
}

/// Joins halves of halves: the depth of an expression is bounded in SQLite, its length is not.
fn halves(terms: &[String], word: &str) -> String {
    match terms {
        [] => "0".into(),
        [term] => term.clone(),
        _ => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} {word} {})", halves(left, word), halves(right, word))
        }
    }
}

fn invalid_id(name: Name<'_>, id: &str) -> Problem {
    let shown: String = id.chars().take(100).collect();
    let text = format!("invalid ID field: {shown}");
    Problem::new("INVALID_QUERY_FILTER_OPERATOR", name.at, text)
}

fn invalid_operator(name: Name<'_>, kind: &str) -> Problem {
    let text = format!("invalid operator on {kind} field");
    Problem::new("INVALID_QUERY_FILTER_OPERATOR", name.at, text)
}

fn type_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Id | Kind::Reference(_) => "id",
        Kind::Text(_) | Kind::Picklist(_) | Kind::Email => "string",
        Kind::Boolean => "boolean",
        Kind::Int => "int",
        Kind::Number { .. } => "double",
        Kind::Date => "date",
        Kind::DateTime => "dateTime",
        Kind::Base64 => "base64Binary",
        Kind::Address => "address",
    }
}

fn wrong_type(name: Name<'_>, field: &Column<'_>) -> Problem {
    let kind = type_name(field.kind);
    let in_quotes = field.kind.is_text() || kind == "id";
    let should = if in_quotes { "should be" } else { "should not be" };
    let text = format!(
        "value of filter criterion for field '{}' must be of type {kind} and {should} enclosed in quotes",
        field.name()
    );
    Problem::new("INVALID_FIELD", name.at, text)
}
