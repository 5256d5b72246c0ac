//! What the org tells of its objects and fields ("sObject Describe").

use serde_json::{Value, json};

use crate::schema::{Field, Kind, Object, Schema};

/// All objects, in short: describeGlobal.
pub(crate) fn all(schema: &Schema, version: &str) -> Value {
    let objects: Vec<Value> =
        schema.objects().iter().map(|object| summary(object, version)).collect();
    json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects })
}

/// One object with its fields.
pub(crate) fn object(object: &Object, version: &str) -> Value {
    let mut told = summary(object, version);
    let fields: Vec<Value> = object.fields.iter().map(field).collect();
    told["fields"] = fields.into();
    told["childRelationships"] = json!([]);
    told["recordTypeInfos"] = json!([]);
    told
}

fn summary(object: &Object, version: &str) -> Value {
    let Object { name, label, prefix, .. } = object;
    let base = format!("/services/data/v{version}/sobjects/{name}");
    json!({
        "name": name,
        "label": label,
        "labelPlural": format!("{label}s"),
        "keyPrefix": prefix,
        "custom": object.is_custom(),
        "createable": true,
        "updateable": true,
        "deletable": true,
        "undeletable": false,
        "queryable": true,
        "retrieveable": false,
        "searchable": false,
        "layoutable": false,
        "urls": {
            "sobject": base,
            "describe": format!("{base}/describe"),
            "rowTemplate": format!("{base}/{{ID}}"),
        },
    })
}

fn field(field: &Field) -> Value {
    let (kind, length, digits) = shape(&field.kind);
    let to: &[String] = match &field.kind {
        Kind::Reference(objects) if !objects.iter().any(|name| name == "*") => objects,
        _ => &[],
    };
    let has_default = field.default.is_some() || field.kind == Kind::Boolean;
    json!({
        "name": field.name,
        "label": field.label,
        "type": kind,
        "length": length,
        "byteLength": length * 3,
        "precision": digits,
        "custom": field.name.ends_with("__c"),
        "calculated": false,
        "createable": field.is_writable(),
        "updateable": field.is_writable(),
        "nillable": !field.required && !matches!(field.kind, Kind::Id | Kind::Boolean),
        "defaultedOnCreate": has_default || !field.is_writable(),
        "externalId": field.name.ends_with("__c") && field.is_key(),
        "idLookup": field.kind == Kind::Id || field.lookup,
        "unique": field.unique,
        "nameField": field.name == "Name",
        "filterable": true,
        "sortable": true,
        "referenceTo": to,
        "relationshipName": relationship(field),
        "picklistValues": [],
    })
}

/// The name of a type, the longest text in characters and the most digits before the point.
fn shape(kind: &Kind) -> (&'static str, usize, usize) {
    match kind {
        Kind::Id => ("id", 18, 0),
        Kind::Reference(_) => ("reference", 18, 0),
        Kind::Text(length) if *length > 255 => ("textarea", *length, 0),
        Kind::Text(length) => ("string", *length, 0),
        Kind::Email => ("email", 80, 0),
        Kind::Boolean => ("boolean", 0, 0),
        Kind::Int => ("int", 0, 0),
        Kind::Number(digits) => ("double", 0, *digits),
        Kind::Date => ("date", 0, 0),
        Kind::DateTime => ("datetime", 0, 0),
    }
}

/// `OwnerId` → `Owner`, `Plant__c` → `Plant__r`.
fn relationship(field: &Field) -> Option<String> {
    if !matches!(field.kind, Kind::Reference(_)) {
        return None;
    }
    let custom = field.name.strip_suffix("__c").map(|stem| format!("{stem}__r"));
    custom.or_else(|| field.name.strip_suffix("Id").map(str::to_owned))
}
