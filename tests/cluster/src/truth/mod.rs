//! Snapshots beside the ground truths of the rigs, VM by VM and field by field.

pub mod hazards;
pub mod openstack;
mod pattern;
pub mod vsphere;

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

/// A field, what it is, and what it should be.
type Field = (String, Value, Value);

/// A line for each field that is not what it should be.
fn compare(who: &str, fields: Vec<Field>) -> impl Iterator<Item = String> {
    fields
        .into_iter()
        .filter(|(_, is, should)| is != should)
        .map(move |(field, is, should)| format!("{who}: {field} is {is}, not {should}"))
}

fn named<'a>(of: &str, fields: impl IntoIterator<Item = (&'a str, Value, Value)>) -> Vec<Field> {
    let name = |field: &str| match of {
        "" => field.to_owned(),
        of => format!("{field} of {of}"),
    };
    fields
        .into_iter()
        .map(|(field, is, should)| (name(field), is, should))
        .collect()
}

fn or(value: &Value, otherwise: Value) -> Value {
    if value.is_null() {
        otherwise
    } else {
        value.clone()
    }
}

/// The members of an array; none where there is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, or a number as one; nothing where there is none.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The lines of a snapshot's file behind the one that names its schema.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    text.lines()
        .skip(1)
        .map(|line| {
            serde_json::from_str(line)
                .with_context(|| format!("read a line of `{}`", path.display()))
        })
        .collect()
}
