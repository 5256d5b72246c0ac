//! In which format the records of a job are, and what goes by its name.

use crate::documents::Wire;

/// A job's `contentType`. Read with regard to case: `csv` is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Xml,
    Json,
}

impl Format {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Csv, "CSV"), (Self::Xml, "XML"), (Self::Json, "JSON")];

    pub(crate) fn read(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(format, _)| *format)
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| name)
    }

    /// Reads a job's `contentType`, and tells whether batches are archives of such records.
    pub(crate) fn read_content(text: &str) -> Option<(Self, bool)> {
        let in_archives = text.strip_prefix("ZIP_");
        Self::read(in_archives.unwrap_or(text)).map(|format| (format, in_archives.is_some()))
    }

    /// The media type of archives with such records.
    pub(crate) fn archive_type(self) -> &'static str {
        match self {
            Self::Csv => "zip/csv",
            Self::Xml => "zip/xml",
            Self::Json => "zip/json",
        }
    }

    /// The media types its batches may come as, in lower case.
    pub(crate) fn takes(self, media_type: &str) -> bool {
        match self {
            Self::Csv => media_type == "text/csv",
            Self::Xml => matches!(media_type, "application/xml" | "text/xml"),
            Self::Json => media_type == "application/json",
        }
    }

    /// The media type of its results.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            // Some clients compare it as a whole: no charset, as in much recorded traffic.
            Self::Csv => "text/csv",
            Self::Xml | Self::Json => self.wire().media_type(),
        }
    }

    /// The syntax of answers about a job of this format: XML where the records are CSV.
    pub(crate) fn wire(self) -> Wire {
        if self == Self::Json { Wire::Json } else { Wire::Xml }
    }
}
