//! The data plane: rows in, rows out; it knows nothing of jobs.
//!
//! A CSV file that is loaded as it is, and a query's result that is stored as it is, are never
//! decoded into cells or fields. Finding where records end is enough to cut a file into batches
//! ([`Cutter`]), to split a result into pages ([`Framer`]), and to set an outcome beside its row
//! ([`Records`]). Those who have rows of a serde type use [`RowCutter`] and [`Decoder`], and with files
//! [`ZipCutter`].
//!
//! All of these are *pushed*: room is lent out ([`space`](Cutter::space)), the caller reads into
//! it, says how much it read, and asks for what is complete by now. "Nothing yet" is a value, not
//! an error. How the bytes were cut into pieces on their way never changes what comes out.
//!
//! | level | files |
//! |---|---|
//! | 0 | `scan` where does a record begin?, `inlet` where bytes come in, `moment` dates and times, `archive` a ZIP archive, `binary` rows for files |
//! | 1 | `batch` what is cut, and its limits, `encode` a serde row as a record of any syntax, `pages` what a result is split into |
//! | 2 | `cut` text → batches, `pack` typed rows → batches, `zip` typed rows and their files → batches, `frame_csv`, `frame_json` and `frame_xml` where records end, `records` raw records, `content` what a batch says, `outcome` what became of each row |
//! | 3 | `frame` results → pages, `decode` pages → typed rows (`decode_xml` those of XML), `source` where batches come from, `text` pages → one document |

mod archive;
mod batch;
mod binary;
mod content;
mod cut;
mod decode;
mod decode_xml;
mod encode;
mod frame;
mod frame_csv;
mod frame_json;
mod frame_xml;
mod inlet;
mod moment;
mod outcome;
mod pack;
mod pages;
mod records;
mod scan;
mod source;
mod text;
mod zip;

pub use batch::{Batch, CELL_CHARS, COLUMNS, Limits, RECORD_CHARS};
pub use binary::{Attachment, ContentVersion, Document};
pub(crate) use content::content;
pub use cut::Cutter;
pub use decode::Decoder;
pub use frame::Framer;
pub(crate) use frame::is_result;
pub(crate) use frame_csv::NO_RECORDS;
pub use moment::{Date, Moment, NoMoment};
pub use outcome::{Fate, InOrder, Outcome, RowError, outcomes_from_csv};
pub use pack::RowCutter;
pub use pages::{Framed, Have, Rows};
pub use records::Records;
pub use source::{RowSource, Source};
pub use text::Text;
pub use zip::{BINARY_FIELDS, ZIP_FILES, ZIP_NAME, ZIP_UNPACKED, ZipCutter};
