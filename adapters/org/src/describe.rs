//! What the org tells of its objects and fields ("sObject Describe").

use serde_json::{Value, json};

use crate::delete::dependents;
use crate::schema::{Field, Kind, Object, OnDelete, Schema};

/// All objects, in short: describeGlobal.
pub(crate) fn all(schema: &Schema, version: &str) -> Value {
    let objects: Vec<Value> =
        schema.objects().iter().map(|object| summary(object, version)).collect();
    json!({ "encoding": "UTF-8", "maxBatchSize": 200, "sobjects": objects })
}

/// One object with its fields.
pub(crate) fn object(schema: &Schema, object: &Object, version: &str) -> Value {
    let mut told = summary(object, version);
    told["fields"] = object.fields.iter().map(|told| field(schema, object, told)).collect();
    told["childRelationships"] = dependents(schema, object).into_iter().map(child).collect();
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
        "createable": object.takes("create"),
        "updateable": object.takes("update"),
        "deletable": object.takes("delete"),
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

fn field(schema: &Schema, object: &Object, field: &Field) -> Value {
    let kind = &field.kind;
    let (length, precision, scale) = size(kind);
    let loads = field.is_writable() && *kind != Kind::Base64;
    let has_default = field.default.is_some() || *kind == Kind::Boolean;
    let is_compared = !matches!(kind, Kind::Base64 | Kind::Address);
    let targets: Vec<&str> = schema.targets(field).iter().map(|to| to.name.as_str()).collect();
    let relationship = field.relationship.as_deref().filter(|_| !targets.is_empty());
    let (values, restricted) = match kind {
        Kind::Picklist(list) => (list.values.as_slice(), list.restricted),
        _ => (&[][..], false),
    };
    let values: Vec<Value> = values.iter().map(|value| choice(field, value)).collect();
    json!({
        "name": field.name,
        "label": field.label,
        "type": field.type_name,
        "length": length,
        "byteLength": length * 3,
        "digits": if *kind == Kind::Int { 9 } else { 0 },
        "precision": precision,
        "scale": scale,
        "custom": field.is_custom(),
        "calculated": false,
        "createable": loads && object.takes("create"),
        "updateable": loads && object.takes("update"),
        "nillable": !field.required && !matches!(kind, Kind::Id | Kind::Boolean),
        "defaultedOnCreate": has_default || !(field.is_writable() || *kind == Kind::Address),
        "externalId": field.is_custom(),
        "idLookup": field.is_key(),
        "unique": field.unique,
        "nameField": object.name_field().is_some_and(|name| name.name == field.name),
        "filterable": is_compared,
        "sortable": is_compared,
        "referenceTo": targets,
        "relationshipName": relationship,
        "restrictedPicklist": restricted,
        "picklistValues": values,
    })
}

/// The longest text in characters; the most digits, and how many of them are behind the point.
fn size(kind: &Kind) -> (usize, usize, usize) {
    match kind {
        Kind::Text(length) => (*length, 0, 0),
        Kind::Picklist(_) => (255, 0, 0),
        Kind::Email => (80, 0, 0),
        Kind::Id | Kind::Reference(_) => (18, 0, 0),
        Kind::Number { precision, scale } => (0, *precision, *scale),
        Kind::Boolean | Kind::Int | Kind::Date | Kind::DateTime | Kind::Base64 | Kind::Address => {
            (0, 0, 0)
        }
    }
}

fn choice(field: &Field, value: &str) -> Value {
    json!({
        "active": true,
        "defaultValue": field.default.as_deref() == Some(value),
        "label": value,
        "validFor": null,
        "value": value,
    })
}

/// A field of another object that refers to this one; queries do not go that way, so it has no name.
fn child((object, field): (&Object, &Field)) -> Value {
    json!({
        "childSObject": object.name,
        "field": field.name,
        "relationshipName": null,
        "cascadeDelete": field.on_delete() == OnDelete::Cascade,
        "restrictedDelete": field.on_delete() == OnDelete::Refuse,
    })
}
