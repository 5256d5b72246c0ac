//! The bits of the REST API that bulk clients ask for on the way: versions, resources, describe,
//! limits, small queries, and who the user is.
//!
//! The session is the bearer of `Authorization`; an error is an array of `message` and `errorCode`
//! ("REST API Developer Guide", "Status Codes and Error Responses"). Nothing here changes a record.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Response, StatusCode, request};
use rusqlite::OptionalExtension;
use serde_json::{Value, json};

use crate::answer::{self, Refusal};
use crate::calendar::DAY;
use crate::describe;
use crate::jobs::Batch;
use crate::org::Org;
use crate::query::{self, Problem};
use crate::route;
use crate::rows::{Dates, Select, write_json};
use crate::schema::{self, Kind, Object};
use crate::soql::Plan;
use crate::{ids, work};

/// The rows of one answer to a query, the service's default.
const PAGE: usize = 2_000;
/// Queries that can be gone on with at once, as many as the service gives a user; the oldest is
/// forgotten for the next.
const CURSORS: usize = 10;
/// The prefix of query locators.
const LOCATOR: &str = "01g";
/// The oldest version and the newest, by their numbers.
const VERSIONS: std::ops::RangeInclusive<u32> = 31..=66;

/// A query that has more rows than one answer took.
#[derive(Debug)]
pub(crate) struct Cursor {
    number: i64,
    soql: String,
    all: bool,
}

/// The answer to a request outside of `/services/async`.
pub(crate) fn respond(org: &mut Org, now: i64, head: &request::Parts) -> Response<Bytes> {
    let parts: Vec<&str> = head.uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let media_type = match parts[..] {
        ["services", "data", _, "sobjects", _, _, _] => "application/octetstream",
        _ => "application/json;charset=UTF-8",
    };
    answer(org, now, head, &parts).map_or_else(
        |refusal| {
            let body = json!([{ "message": refusal.message, "errorCode": refusal.code }]);
            answer::typed(refusal.status, "application/json", body.to_string().into())
        },
        |body| answer::typed(StatusCode::OK, media_type, body),
    )
}

fn answer(
    org: &mut Org,
    now: i64,
    head: &request::Parts,
    parts: &[&str],
) -> Result<Bytes, Refusal> {
    if head.method != Method::GET {
        let message = format!("HTTP Method '{}' not allowed. Allowed are GET", head.method);
        let refusal = Refusal::bad("METHOD_NOT_ALLOWED", message);
        return Err(refusal.with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let (version, rest) = match *parts {
        ["services", "data"] => return Ok(told(&versions())), // for everyone, as at the service
        ["services", "oauth2", "userinfo"] => {
            check(org, now, &head.headers)?;
            return Ok(told(&user(org)));
        }
        ["services", "data", version, ref rest @ ..] => (version, rest),
        _ => return Err(not_found()),
    };
    let version = version.strip_prefix('v').and_then(|version| route::version(version).ok());
    let version = version.ok_or_else(not_found)?;
    check(org, now, &head.headers)?;
    work::settle(org, now)?;
    match *rest {
        [] => Ok(told(&resources(version))),
        ["sobjects"] => Ok(told(&describe::all(&org.schema, version))),
        ["sobjects", name, "describe"] => {
            let object = org.schema.object(name).ok_or_else(not_found)?;
            Ok(told(&describe::object(&org.schema, object, version)))
        }
        ["sobjects", name, id, field] => blob(org, name, id, field),
        ["limits"] => Ok(told(&limits(org, now)?)),
        [name @ ("query" | "queryAll")] => {
            let soql = parameter(head, "q").ok_or_else(|| {
                Refusal::bad("MALFORMED_QUERY", "SOQL query is missing: the parameter q")
            })?;
            page(org, now, version, soql, name == "queryAll", None)
        }
        ["query" | "queryAll", locator] => go_on(org, now, version, locator),
        _ => Err(not_found()),
    }
}

/// What a binary field of a record holds, as it was sent ("sObject Blob Retrieve").
fn blob(org: &Org, object: &str, id: &str, field: &str) -> Result<Bytes, Refusal> {
    let object = org.schema.object(object).ok_or_else(not_found)?;
    let field = object.field(field).filter(|field| field.kind == Kind::Base64);
    let (field, table) = (field.ok_or_else(not_found)?.column(), object.table());
    let n = ids::number(&object.prefix, id).ok_or_else(not_found)?;
    let sql = format!("SELECT {field} FROM {table} WHERE n = ? AND deleted = 0");
    let found = org.db.prepare_cached(&sql)?.query_row([n], |row| row.get(0)).optional()?;
    let body: Option<Vec<u8>> = found.ok_or_else(not_found)?;
    Ok(body.unwrap_or_default().into())
}

fn told(value: &Value) -> Bytes {
    value.to_string().into()
}

fn not_found() -> Refusal {
    Refusal::bad("NOT_FOUND", "The requested resource does not exist")
        .with_status(StatusCode::NOT_FOUND)
}

/// Session, permission, allocation.
fn check(org: &mut Org, now: i64, headers: &HeaderMap) -> Result<(), Refusal> {
    let sent = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (scheme, token) = sent.split_once(' ').unwrap_or_default();
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth");
    if !known || token.trim() != org.session() {
        return Err(Refusal::bad("INVALID_SESSION_ID", "Session expired or invalid")
            .with_status(StatusCode::UNAUTHORIZED));
    }
    if !org.config.permissions.api {
        let message = "The REST API is not enabled for this Organization.";
        return Err(
            Refusal::bad("API_DISABLED_FOR_ORG", message).with_status(StatusCode::FORBIDDEN)
        );
    }
    org.count_request(now)
}

/// A parameter of the query string.
fn parameter(head: &request::Parts, name: &str) -> Option<String> {
    let query = head.uri.query().unwrap_or_default();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned())
}

/// The versions in service, with the releases they came with.
fn versions() -> Value {
    VERSIONS
        .map(|number| {
            let n = number - 31;
            let (season, year) = match n % 3 {
                0 => ("Summer", 14),
                1 => ("Winter", 15),
                _ => ("Spring", 15),
            };
            let version = format!("{number}.0");
            json!({
                "label": format!("{season} '{}", year + n / 3),
                "url": format!("/services/data/v{version}"),
                "version": version,
            })
        })
        .collect()
}

fn resources(version: &str) -> Value {
    let names = ["limits", "query", "queryAll", "sobjects"];
    let entry =
        |name: &str| (name.to_owned(), Value::from(format!("/services/data/v{version}/{name}")));
    names.into_iter().map(entry).collect::<serde_json::Map<_, _>>().into()
}

/// Who the session is of ("The UserInfo Endpoint").
fn user(org: &Org) -> Value {
    let organization = org.session().split('!').next().unwrap_or_default();
    json!({
        "sub": format!("https://login.salesforce.com/id/{organization}/{}", schema::me()),
        "user_id": schema::me(),
        "organization_id": organization,
        "preferred_username": "practice@example.com",
        "nickname": "practice",
        "name": "Practice User",
        "given_name": "Practice",
        "family_name": "User",
        "email": "practice@example.com",
        "email_verified": true,
        "zoneinfo": "GMT",
        "locale": "en_US",
        "language": "en_US",
        "user_type": "STANDARD",
        "active": true,
    })
}

/// What is left of the day's allocations.
fn limits(org: &Org, now: i64) -> Result<Value, Refusal> {
    let limits = &org.config.limits;
    let left =
        |most: u64, used: u64| json!({ "Max": most, "Remaining": most.saturating_sub(used) });
    Ok(json!({
        "DailyApiRequests": left(limits.daily_requests, org.usage.of_a_day(now)),
        "DailyBulkApiBatches": left(limits.daily_batches, Batch::added_since(&org.db, now - DAY)?),
    }))
}

/// The next rows of a query that was begun: `01g…-2000`.
fn go_on(org: &mut Org, now: i64, version: &str, locator: &str) -> Result<Bytes, Refusal> {
    let (id, from) = locator.split_once('-').unwrap_or_default();
    let number = ids::number(LOCATOR, id);
    let cursor = org.cursors.iter().find(|cursor| Some(cursor.number) == number);
    match (cursor, from.parse()) {
        (Some(cursor), Ok(from)) => {
            let (soql, all, number) = (cursor.soql.clone(), cursor.all, cursor.number);
            page(org, now, version, soql, all, Some((number, from)))
        }
        _ => Err(Refusal::bad("INVALID_QUERY_LOCATOR", "invalid query locator")),
    }
}

/// Runs a query and tells its rows from a place on. Each page runs it anew, so records that change
/// in between show; rows without an order of their own are in that of their ids.
fn page(
    org: &mut Org,
    now: i64,
    version: &str,
    soql: String,
    all: bool,
    begun: Option<(i64, usize)>,
) -> Result<Bytes, Refusal> {
    let from = begun.map_or(0, |(_, from)| from);
    let (object, plan) = query::understand(org, now, &soql, None, all).map_err(refused)?;
    let (records, total) = rows(org, object, &plan, version, from)?;
    let next = from.saturating_add(PAGE);
    let done = next >= total;
    let mut out = format!("{{\"totalSize\":{total},\"done\":{done}").into_bytes();
    if !done {
        let number = begun.map_or_else(|| keep(org, soql, all), |(number, _)| number);
        let locator = ids::long(LOCATOR, number);
        let url = format!("/services/data/v{version}/query/{locator}-{next}");
        out.extend_from_slice(format!(",\"nextRecordsUrl\":\"{url}\"").as_bytes());
    }
    out.extend_from_slice(b",\"records\":[");
    out.extend_from_slice(&records);
    out.extend_from_slice(b"]}");
    Ok(out.into())
}

/// The records of one page, and how many there are in all.
fn rows(
    org: &Org,
    object: &Object,
    plan: &Plan<'_>,
    version: &str,
    from: usize,
) -> rusqlite::Result<(Vec<u8>, usize)> {
    let mut statement = org.db.prepare(&plan.sql)?;
    query::bind(&mut statement, plan)?;
    let select = Select::of(plan, &org.schema, object);
    let (mut out, mut count) = (Vec::new(), 0);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if (from..from.saturating_add(PAGE)).contains(&count) {
            if count > from {
                out.push(b',');
            }
            write_json(&mut out, &select, row, version, Dates::Written)?;
        }
        count += 1;
    }
    Ok((out, count))
}

/// Remembers a query, to be gone on with.
fn keep(org: &mut Org, soql: String, all: bool) -> i64 {
    let number = org.cursors.back().map_or(1, |last| last.number + 1);
    if org.cursors.len() >= CURSORS {
        org.cursors.pop_front();
    }
    org.cursors.push_back(Cursor { number, soql, all });
    number
}

fn refused(problem: Problem) -> Refusal {
    Refusal::bad(problem.code, problem.message)
}
