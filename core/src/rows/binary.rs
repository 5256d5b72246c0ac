//! Rows for files: the objects that hold them, with the fields they need and no others.
//!
//! For more fields, flatten one of these into a type of your own, or write the reference yourself:
//! `#` and the path.

use serde::Serialize;

/// A file among an org's files (topic "ContentVersion" of the object reference).
///
/// ```
/// # use sfbulk::rows::ContentVersion;
/// #[derive(serde::Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Contract {
///     #[serde(flatten)]
///     file: ContentVersion,
///     first_publish_location_id: &'static str,
/// }
/// let file = ContentVersion::new("contracts/acme.pdf");
/// assert_eq!((&*file.title, &*file.version_data), ("acme", "#contracts/acme.pdf"));
/// let row = Contract { file, first_publish_location_id: "0015g00000Xb1cCAAR" };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContentVersion {
    /// The file's name, without its ending.
    pub title: String,
    /// Its path, from which the org takes its type.
    pub path_on_client: String,
    /// The reference to its content.
    pub version_data: String,
}

impl ContentVersion {
    /// The file of this path in the folder that is loaded.
    pub fn new(path: &str) -> Self {
        let name = name(path);
        let title = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let title = if title.is_empty() { name } else { title }.to_owned();
        Self { title, path_on_client: path.to_owned(), version_data: reference(path) }
    }
}

/// A document in a folder of the org (topic "Document").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    /// The file's name.
    pub name: String,
    /// The folder, or the user whose personal one it is.
    pub folder_id: String,
    /// The reference to its content.
    pub body: String,
}

impl Document {
    /// The file of this path, for a folder of the org.
    pub fn new(path: &str, folder_id: impl Into<String>) -> Self {
        Self { name: name(path).to_owned(), folder_id: folder_id.into(), body: reference(path) }
    }
}

/// A file that hangs on a record (topic "Attachment").
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attachment {
    /// The file's path, which tells two of one name apart.
    pub name: String,
    /// The record.
    pub parent_id: String,
    /// The reference to its content.
    pub body: String,
}

impl Attachment {
    /// The file of this path, for a record.
    pub fn new(path: &str, parent_id: impl Into<String>) -> Self {
        Self { name: path.to_owned(), parent_id: parent_id.into(), body: reference(path) }
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn reference(path: &str) -> String {
    format!("#{path}")
}
