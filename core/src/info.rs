//! The wire documents: JobInfo, BatchInfo and what they are made of, under Salesforce's names.
//!
//! Read generously: members in any order, unknown ones skipped, missing or null ones `None`,
//! counters as numbers or text, values no one knows yet kept as `Other`. Written strictly: in the
//! schema's order, only what is set (topics "JobInfo" and "BatchInfo" of the vendor's guide).

use std::fmt;

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::id::{BatchId, JobId};

/// How records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Syntax {
    /// Comma-separated values, the fastest.
    #[default]
    Csv,
    /// XML: `sObjects` and `queryResult` documents.
    Xml,
    /// JSON: a list of objects.
    Json,
}

impl ContentType {
    /// How the records of such a job are written; what is not known is taken for XML, as the service
    /// takes it.
    pub fn syntax(&self) -> Syntax {
        match self {
            Self::Csv | Self::ZipCsv => Syntax::Csv,
            Self::Json | Self::ZipJson => Syntax::Json,
            Self::Xml | Self::ZipXml | Self::Other(_) => Syntax::Xml,
        }
    }

    /// Whether its batches are archives, of records and the files they name.
    pub fn is_zip(&self) -> bool {
        matches!(self, Self::ZipCsv | Self::ZipXml | Self::ZipJson)
    }

    /// The media type of its batches (topic "Content Type Header" of the vendor's guide).
    pub(crate) fn media(&self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=UTF-8",
            Self::Xml | Self::Other(_) => "application/xml; charset=UTF-8",
            Self::Json => "application/json; charset=UTF-8",
            Self::ZipCsv => "zip/csv",
            Self::ZipXml => "zip/xml",
            Self::ZipJson => "zip/json",
        }
    }
}

/// How much is left of what an org may do in 24 hours (topic "Limits" of the vendor's REST guide).
/// `None` where the org does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Batches that can be added: `DailyBulkApiBatches`.
    pub batches: Option<u64>,
    /// Requests that can be made, of any kind: `DailyApiRequests`.
    pub calls: Option<u64>,
}

impl Allowances {
    /// From the answer of the REST resource `limits`, if it is that.
    pub(crate) fn of(limits: &Value) -> Option<Self> {
        let left = |name: &str| limits.get(name)?.get("Remaining")?.as_u64();
        let batches = left("DailyBulkApiBatches").or_else(|| left("DailyBulkApiRequests"));
        let allowances = Self { batches, calls: left("DailyApiRequests") };
        (allowances != Self::default()).then_some(allowances)
    }
}

/// Spellings differ between guide, schema and traffic (`NotProcessed`, `Not Processed`,
/// `NOT_PROCESSED`): letters and digits are compared, regardless of case.
fn same_word(a: &str, b: &str) -> bool {
    fn letters(word: &str) -> impl Iterator<Item = char> + '_ {
        word.trim().chars().filter(|c| !matches!(c, ' ' | '_')).map(|c| c.to_ascii_lowercase())
    }
    letters(a).eq(letters(b))
}

macro_rules! wire_enum {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $wire:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A value this version does not know, as it came.
            Other(String),
        }

        impl $name {
            /// The value as it goes over the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $wire,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $(_ if same_word(text, $wire) => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
            }
        }
    )*};
}

wire_enum! {
    /// What a job does with its records.
    Operation {
        /// New records; the rows carry no `Id`.
        Insert = "insert",
        /// Changes to the records named by `Id`.
        Update = "update",
        /// Insert or update, told apart by an external id field.
        Upsert = "upsert",
        /// Into the recycle bin; the rows carry `Id` alone.
        Delete = "delete",
        /// Past the recycle bin; needs the permission "Bulk API Hard Delete".
        HardDelete = "hardDelete",
        /// A SOQL query.
        Query = "query",
        /// A SOQL query that also sees deleted and archived records.
        QueryAll = "queryAll",
    }

    /// The state of a job. `Closed` does not mean that the work is done, only that no more batches
    /// are wanted.
    JobState {
        /// Takes batches.
        Open = "Open",
        /// Takes no more batches; those it has are worked off.
        Closed = "Closed",
        /// Stopped: batches that had not started never will; what was written stays.
        Aborted = "Aborted",
        /// Given up by the server; results of completed batches stay readable.
        Failed = "Failed",
    }

    /// The state of a batch.
    BatchState {
        /// Not started yet.
        Queued = "Queued",
        /// Running; an abort does not stop it. It may go back to `Queued`.
        InProgress = "InProgress",
        /// Every record was tried; some or all may have failed.
        Completed = "Completed",
        /// The batch could not be worked to its end; what was written before stays.
        Failed = "Failed",
        /// Never run: the job was aborted first, or PK chunking put other batches in its place.
        NotProcessed = "NotProcessed",
    }

    /// Whether the server works on several batches of a job at once.
    ConcurrencyMode {
        /// The default.
        Parallel = "Parallel",
        /// One batch at a time: slower, with fewer lock conflicts.
        Serial = "Serial",
    }

    /// The format of a job's records.
    ContentType {
        /// Comma-separated values, the fastest.
        Csv = "CSV",
        /// XML, the service's default when a job names none.
        Xml = "XML",
        /// JSON.
        Json = "JSON",
        /// A zip of attachments with a CSV `request.txt`.
        ZipCsv = "ZIP_CSV",
        /// A zip of attachments with an XML `request.txt`.
        ZipXml = "ZIP_XML",
        /// A zip of attachments with a JSON `request.txt`.
        ZipJson = "ZIP_JSON",
    }

    /// Why the API refused a request (topic "Errors").
    ExceptionCode {
        /// The batch was empty, or its zip content given twice.
        ClientInputError = "ClientInputError",
        /// The batches of the last 24 hours are used up.
        ExceededQuota = "ExceededQuota",
        /// The Bulk API, or what was asked of it, is not enabled for this org or user.
        FeatureNotEnabled = "FeatureNotEnabled",
        /// A retired version or resource.
        Gone = "Gone",
        /// Plain http was used.
        HttpsRequired = "HttpsRequired",
        /// The server failed.
        InternalServerError = "InternalServerError",
        /// No such batch, unreadable content, or no result to give.
        InvalidBatch = "InvalidBatch",
        /// The object is not supported by the Bulk API.
        InvalidEntity = "InvalidEntity",
        /// No such job, or a job that cannot be.
        InvalidJob = "InvalidJob",
        /// The job is in a state that does not allow this.
        InvalidJobState = "InvalidJobState",
        /// The operation is not allowed, or the address names none.
        InvalidOperation = "InvalidOperation",
        /// The session is missing, malformed, expired or revoked.
        InvalidSessionId = "InvalidSessionId",
        /// The address could not be understood.
        InvalidUrl = "InvalidUrl",
        /// No permission, or another user's job.
        InvalidUser = "InvalidUser",
        /// A version that is not supported, or not the job's.
        InvalidVersion = "InvalidVersion",
        /// The request's XML is malformed.
        InvalidXml = "InvalidXml",
        /// The method does not fit the address.
        MethodNotAllowed = "MethodNotAllowed",
        /// No such resource.
        NotFound = "NotFound",
        /// The org's API requests of the last 24 hours are used up.
        RequestLimitExceeded = "REQUEST_LIMIT_EXCEEDED",
        /// The server is overloaded or in maintenance.
        ServerUnavailable = "SERVER_UNAVAILABLE",
        /// It took too long.
        Timeout = "Timeout",
        /// Records were locked by others for too long.
        TooManyLockFailure = "TooManyLockFailure",
        /// A security policy of the org forbids this.
        TransactionSecurityBlock = "TransactionSecurityBlock",
        /// A security policy of the org failed in its own code.
        TransactionSecurityDeveloperError = "TransactionSecurityDeveloperError",
        /// A security policy of the org could not be run.
        TransactionSecurityInternalError = "TransactionSecurityInternalError",
        /// The server cannot say.
        Unknown = "Unknown",
        /// The content type is unknown, or not the job's.
        UnsupportedContentType = "UnsupportedContentType",
    }
}

impl Operation {
    /// Whether this reads records instead of writing them.
    pub fn is_query(&self) -> bool {
        matches!(self, Self::Query | Self::QueryAll)
    }
}

impl BatchState {
    /// Whether the server will do no more to the batch. A state nobody knows may still change.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::NotProcessed)
    }
}

/// A job, as asked for and as answered. All members are optional: a request sets few of them, and
/// old versions answer fewer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobInfo {
    /// The job's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<JobId>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The API name of the one object it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The user who created it; only they may add batches or close it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by_id: Option<String>,
    /// When it was created, as the server wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_date: Option<String>,
    /// When it last changed, as the server wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_modstamp: Option<String>,
    /// Its state; a request may set `Closed` or `Aborted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// For an upsert, the field that tells which record is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id_field_name: Option<String>,
    /// Whether its batches may run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency_mode: Option<ConcurrencyMode>,
    /// The format of its records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentType>,
    /// Batches not started.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_batches_queued: Option<u64>,
    /// Batches running.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_batches_in_progress: Option<u64>,
    /// Batches completed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_batches_completed: Option<u64>,
    /// Batches failed as a whole.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_batches_failed: Option<u64>,
    /// Batches added until now.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_batches_total: Option<u64>,
    /// Records worked on until now, failed ones included.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "count")]
    pub number_records_processed: Option<u64>,
    /// How often the server tried again to save, for example after a lock conflict.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_retries: Option<u64>,
    /// The API version it was created with, `66.0`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub api_version: Option<String>,
    /// The assignment rule to apply to new cases or leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment_rule_id: Option<String>,
    /// Records that failed until now.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_records_failed: Option<u64>,
    /// Milliseconds of processing, over all batches.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub total_processing_time: Option<u64>,
    /// Milliseconds of processing without queueing and reading.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub api_active_processing_time: Option<u64>,
    /// Milliseconds spent in the org's own Apex code.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub apex_processing_time: Option<u64>,
}

/// A batch, as answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchInfo {
    /// The batch's id.
    pub id: BatchId,
    /// The job it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Its state.
    pub state: BatchState,
    /// Why it failed: `InvalidBatch : Field name not found : X`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_message: Option<String>,
    /// When it was added, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_date: Option<String>,
    /// When it last changed, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_modstamp: Option<String>,
    /// Records worked on, failed ones included; of a query, rows found.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "count")]
    pub number_records_processed: Option<u64>,
    /// Records that failed.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub number_records_failed: Option<u64>,
    /// Milliseconds of processing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub total_processing_time: Option<u64>,
    /// Milliseconds of processing without queueing and reading.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub api_active_processing_time: Option<u64>,
    /// Milliseconds spent in the org's own Apex code.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient_count")]
    pub apex_processing_time: Option<u64>,
}

/// What became of one record, where the answer is an XML or JSON document (topic "Getting Batch
/// Results"). CSV results are read by the data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestResult {
    /// The record's id; often missing when it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether it was written.
    #[serde(deserialize_with = "flag")]
    pub success: bool,
    /// Whether it is new; tells insert from update in an upsert.
    #[serde(default, deserialize_with = "flag_or_null")]
    pub created: bool,
    /// Why it was not written.
    #[serde(default, deserialize_with = "one_or_many")]
    pub errors: Vec<RecordError>,
}

/// Why a record was not written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RecordError {
    /// For example `REQUIRED_FIELD_MISSING`.
    #[serde(deserialize_with = "text_or_null")]
    pub status_code: String,
    /// In words.
    #[serde(deserialize_with = "text_or_null")]
    pub message: String,
    /// The fields it is about.
    #[serde(deserialize_with = "one_or_many")]
    pub fields: Vec<String>,
}

impl fmt::Display for RecordError {
    /// As the service writes it into the `Error` cell of a CSV result.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.status_code, self.message)?;
        for field in &self.fields {
            write!(f, "{field} ")?;
        }
        f.write_str("--")
    }
}

/// A counter nothing depends on: what cannot be read is as good as missing.
fn lenient_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(count(value).unwrap_or_default())
}

/// A counter: a number, a number as text, or nothing. Always 64 bits: orgs passed 2^31 records.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let text = number.to_string();
            text.trim_end_matches(".0").parse().map(Some).map_err(D::Error::custom)
        }
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => {
            let text = text.trim();
            text.trim_end_matches(".0").parse().map(Some).map_err(D::Error::custom)
        }
        _ => Err(D::Error::custom("a count was expected")),
    }
}

/// Text, or a number to be kept as its text: `apiVersion` is `"66.0"` in XML and `66.0` in JSON.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

/// Text; null is none.
fn text_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(text(deserializer)?.unwrap_or_default())
}

/// A boolean, or its text. Anything else is an error: a row must not pass for failed because its
/// success cannot be read.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    flag_or(None, deserializer)
}

/// The same where null is no.
fn flag_or_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    flag_or(Some(false), deserializer)
}

fn flag_or<'de, D: Deserializer<'de>>(null: Option<bool>, from: D) -> Result<bool, D::Error> {
    match (Value::deserialize(from)?, null) {
        (Value::Null, Some(null)) => Ok(null),
        (Value::Bool(flag), _) => Ok(flag),
        (Value::String(text), _) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        (Value::String(text), _) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        (other, _) => Err(D::Error::custom(format!("{other} is neither true nor false"))),
    }
}

/// Whether a text could be the API name of an object or a field: letters, digits and underscores, a
/// letter first. So they need no escaping anywhere.
pub(crate) fn is_api_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A list; XML cannot tell a list of one from its member, and the vendor's own reader takes a
/// single JSON object where a list belongs.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let values = match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::String(text) if text.trim().is_empty() => Vec::new(),
        Value::Array(values) => values,
        one => vec![one],
    };
    values.into_iter().map(|value| T::deserialize(value).map_err(D::Error::custom)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_state_is_known() {
        for text in ["NotProcessed", "Not Processed", "NOT_PROCESSED", " notProcessed "] {
            assert_eq!(BatchState::from(text), BatchState::NotProcessed, "{text}");
        }
        assert_eq!(BatchState::from("In Progress"), BatchState::InProgress);
        assert_eq!(BatchState::from("Sleeping"), BatchState::Other("Sleeping".into()));
        assert!(!BatchState::from("Sleeping").is_final());
        assert_eq!(ExceptionCode::from("InvalidXML"), ExceptionCode::InvalidXml);
        assert_eq!(ExceptionCode::from("INVALID_SESSION_ID"), ExceptionCode::InvalidSessionId);
    }

    #[test]
    fn counters_are_numbers_texts_or_missing() {
        let job: JobInfo = serde_json::from_str(
            r#"{"numberRecordsProcessed": 5000000000, "numberRecordsFailed": "7",
                "numberRetries": null, "apiVersion": 66.0, "somethingNew": [1]}"#,
        )
        .unwrap();
        assert_eq!(job.number_records_processed, Some(5_000_000_000));
        assert_eq!(job.number_records_failed, Some(7));
        assert_eq!(job.number_retries, None);
        assert_eq!(job.api_version.as_deref(), Some("66.0"));
        let odd = r#"{"numberRetries": -1, "numberRecordsProcessed": 12.0}"#;
        let job: JobInfo = serde_json::from_str(odd).unwrap();
        assert_eq!((job.number_retries, job.number_records_processed), (None, Some(12)));
        let odd = r#"{"numberRecordsProcessed": -1}"#;
        assert!(serde_json::from_str::<JobInfo>(odd).is_err(), "results are counted by it");
        for odd in [r#"{"success":null}"#, r#"{"success":"yes"}"#, "{}"] {
            assert!(serde_json::from_str::<IngestResult>(odd).is_err(), "{odd}");
        }
        assert!(serde_json::from_str::<IngestResult>(r#"{"success":"TRUE"}"#).unwrap().success);
    }

    #[test]
    fn a_record_error_reads_as_in_a_csv_result() {
        let error = RecordError {
            status_code: "REQUIRED_FIELD_MISSING".into(),
            message: "Required fields are missing: [LastName]".into(),
            fields: vec!["LastName".into()],
        };
        assert_eq!(
            error.to_string(),
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
        );
    }
}
