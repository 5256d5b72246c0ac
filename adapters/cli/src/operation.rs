//! What is done with the rows of a load, and what it is called.

use serde::{Deserialize, Serialize};
use sfbulk_ureq::Spec;

/// What is done with the rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Operation {
    Insert,
    Update,
    Upsert {
        key: String,
    },
    Delete,
    HardDelete {
        /// The user need not be asked.
        #[serde(skip)]
        sure: bool,
    },
}

impl Operation {
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Upsert { .. } => "upsert",
            Self::Delete => "delete",
            Self::HardDelete { .. } => "hard-delete",
        }
    }

    /// The column it cannot do without.
    pub(crate) fn needs(&self) -> Option<&str> {
        match self {
            Self::Insert => None,
            Self::Upsert { key } => Some(key),
            Self::Update | Self::Delete | Self::HardDelete { .. } => Some("Id"),
        }
    }

    pub(crate) fn takes_only_id(&self) -> bool {
        matches!(self, Self::Delete | Self::HardDelete { .. })
    }

    /// `STATUS` of a row that made a record; these are the words Data Loader's users know.
    pub(crate) fn created(&self) -> &'static str {
        match self {
            Self::Insert | Self::Upsert { .. } => "Item Created",
            _ => self.changed(),
        }
    }

    /// `STATUS` of a row that changed one.
    pub(crate) fn changed(&self) -> &'static str {
        match self {
            Self::Insert => "Item Created",
            Self::Update | Self::Upsert { .. } => "Item Updated",
            Self::Delete => "Item Deleted",
            Self::HardDelete { .. } => "Item Hard Deleted",
        }
    }

    pub(crate) fn spec(&self, object: &str) -> Spec {
        match self {
            Self::Insert => Spec::insert(object),
            Self::Update => Spec::update(object),
            Self::Upsert { key } => Spec::upsert(object, key),
            Self::Delete => Spec::delete(object),
            Self::HardDelete { .. } => Spec::hard_delete(object),
        }
    }
}
