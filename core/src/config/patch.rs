//! Changes of the configuration that an admin sends: a JSON merge patch (RFC 7396), or the same as TOML.
//!
//! What patches came to is kept beside the recordings, as *overrides*: a configuration of its own that is laid over the
//! file. Tables are merged key by key; entries of `slot` and `leg` are told apart by their `number` and `name`; every
//! other list is replaced. A key that is null in a patch takes its override back, and the file's value holds again.
//!
//! A patch may carry secrets. They are in the overrides and nowhere else: printed, journaled and compared, a patch shows
//! `***` in their place.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// Longest patch, bytes.
pub const MAX_PATCH_BYTES: usize = 32 * 1024;
/// Deepest nesting that a configuration can have, and some more.
const MAX_DEPTH: usize = 8;
/// Keys whose values are secrets, wherever they stand.
const SECRETS: [&str; 6] = ["secret", "key", "value", "stream_key", "passphrase", "password"];
/// Keys that cannot be patched: the overrides lie below the one, and the other is the box's name in the fleet.
const FIXED: [(&str, &str); 2] = [("box", "data_dir"), ("box", "id")];

#[derive(Clone, PartialEq)]
pub struct Patch(Map<String, Value>);

/// Why something is no patch, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    #[error("is {0} where an object or TOML belongs")]
    NoTable(&'static str),
    #[error("is not TOML (line {line})")]
    NotToml { line: usize },
    #[error("is empty")]
    Empty,
    #[error("is longer than {MAX_PATCH_BYTES} bytes")]
    TooLong,
    #[error("is nested deeper than a configuration")]
    TooDeep,
    #[error("changes {0}.{1}, which only the file can")]
    Fixed(&'static str, &'static str),
}

impl Patch {
    /// Reads a patch: an object, or text that is TOML.
    ///
    /// # Errors
    /// See [`PatchError`]. Whether the keys and values mean anything shows when it is applied.
    pub fn from_json(value: &Value) -> Result<Self, PatchError> {
        let fields = match value {
            Value::Object(fields) => fields.clone(),
            Value::String(text) => table(text)?,
            Value::Null => return Err(PatchError::NoTable("null")),
            Value::Bool(_) => return Err(PatchError::NoTable("a boolean")),
            Value::Number(_) => return Err(PatchError::NoTable("a number")),
            Value::Array(_) => return Err(PatchError::NoTable("a list")),
        };
        if fields.is_empty() {
            return Err(PatchError::Empty);
        }
        if serde_json::to_string(&fields).map_or(0, |text| text.len()) > MAX_PATCH_BYTES {
            return Err(PatchError::TooLong);
        }
        if depth(&Value::Object(fields.clone())) > MAX_DEPTH {
            return Err(PatchError::TooDeep);
        }
        if let Some((table, key)) =
            FIXED.iter().find(|(table, key)| fields.get(*table).and_then(|t| t.get(key)).is_some())
        {
            return Err(PatchError::Fixed(table, key));
        }
        Ok(Self(fields))
    }

    /// The overrides with this patch.
    pub fn apply(&self, mut overrides: Map<String, Value>) -> Map<String, Value> {
        lay(&mut overrides, &self.0, true);
        overrides
    }

    /// The patch itself, for the one place that sends it.
    pub const fn reveal(&self) -> &Map<String, Value> {
        &self.0
    }

    /// As it may be shown.
    fn masked(&self) -> Map<String, Value> {
        let mut fields = self.0.clone();
        fields.values_mut().for_each(mask);
        fields
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Value::Object(self.masked()))
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.masked().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self)
    }
}

/// Reads TOML as a tree.
///
/// # Errors
/// [`PatchError::NotToml`].
pub fn table(text: &str) -> Result<Map<String, Value>, PatchError> {
    toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        PatchError::NotToml { line }
    })
}

/// The file with the overrides laid over it.
pub fn merged(mut file: Map<String, Value>, overrides: &Map<String, Value>) -> Map<String, Value> {
    lay(&mut file, overrides, false);
    file
}

/// A tree as TOML, a line for each key at its top.
pub fn to_toml(tree: &Map<String, Value>) -> String {
    tree.iter().map(|(key, value)| format!("{} = {}\n", quoted(key), inline(value))).collect()
}

/// With `removing`, null takes a key away; without, there are none.
fn lay(under: &mut Map<String, Value>, over: &Map<String, Value>, removing: bool) {
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (_, Value::Null) if removing => drop(under.remove(key)),
            (Some(Value::Object(under)), Value::Object(over)) => lay(under, over, removing),
            (Some(Value::Array(under)), Value::Array(over)) if identity(key).is_some() => {
                lay_entries(under, over, identity(key).unwrap_or_default(), removing);
            }
            (_, Value::Object(over)) => {
                let mut fresh = Map::new();
                lay(&mut fresh, over, removing);
                under.insert(key.clone(), Value::Object(fresh));
            }
            (_, value) => drop(under.insert(key.clone(), value.clone())),
        }
    }
}

/// The key that tells the entries of a list apart.
fn identity(list: &str) -> Option<&'static str> {
    match list {
        "slot" => Some("number"),
        "leg" => Some("name"),
        _ => None,
    }
}

fn lay_entries(under: &mut Vec<Value>, over: &[Value], identity: &str, removing: bool) {
    for entry in over {
        let same = |known: &&mut Value| entry.get(identity).is_some() && known.get(identity) == entry.get(identity);
        match (under.iter_mut().find(same), entry) {
            (Some(Value::Object(known)), Value::Object(fields)) => lay(known, fields, removing),
            _ => under.push(entry.clone()),
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let hides = SECRETS.contains(&key.as_str()) && value.is_string();
                if hides { *value = Value::String("***".to_owned()) } else { mask(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        // A user's name and password in an address.
        Value::String(text) if text.contains('@') && text.contains(':') => *text = super::Url::new(&**text).to_string(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Inline TOML. JSON's numbers and its escapes in text are TOML's as well, but for one.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::String(text) => quoted(text),
        Value::Null => "\"\"".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(value: Value) -> Patch {
        Patch::from_json(&value).unwrap()
    }

    const FILE: &str = "\
[program]
fps = 30
start_slot = 1
[[slot]]
number = 1
name = \"Altar\"
source = { kind = \"test\" }
[[slot]]
number = 2
source = { kind = \"test\", tone_hz = 440 }
";

    #[test]
    fn a_patch_changes_what_it_names_and_leaves_the_rest() {
        let file = table(FILE).unwrap();
        let first = patch(json!("program.fps = 25\nslot = [{ number = 1, name = \"Choir\" }]"));
        let second = patch(json!({"slot": [{"number": 2, "source": {"tone_hz": 330}}], "record": {"slots": false}}));
        let overrides = second.apply(first.apply(Map::new()));
        let expected = json!({
            "program": {"fps": 25, "start_slot": 1},
            "slot": [
                {"number": 1, "name": "Choir", "source": {"kind": "test"}},
                {"number": 2, "source": {"kind": "test", "tone_hz": 330}},
            ],
            "record": {"slots": false},
        });
        assert_eq!(Value::Object(merged(file.clone(), &overrides)), expected);
        let back = patch(json!({"program": {"fps": null}, "slot": null, "record": null})).apply(overrides);
        assert_eq!(merged(file.clone(), &back), file);
    }

    #[test]
    fn what_is_written_is_read_back_and_means_the_same() {
        let tree = json!({"a b": {"c": [1, 2.5, {"d": "quote \" tab \t del \u{7f} ü"}]}, "e": true, "f": "x\ny"});
        let Value::Object(tree) = tree else { panic!("an object") };
        assert_eq!(table(&to_toml(&tree)).unwrap(), tree);
        let read = |text: &str| crate::config::parse(text, "/etc", &|_| Ok(String::new())).unwrap().config;
        assert_eq!(read(&to_toml(&table(FILE).unwrap())), read(FILE));
    }

    #[test]
    fn secrets_of_a_patch_are_not_shown() {
        let patch = patch(json!({
            "mqtt": {"password": "hunter2", "url": "mqtt://me:hunter2@broker"},
            "leg": [{"name": "a", "stream_key": "hunter2", "token": {"key": "hunter2", "secret": "hunter2"}}],
        }));
        for shown in [format!("{patch:?}"), serde_json::to_string(&patch).unwrap()] {
            assert!(!shown.contains("hunter2") && shown.contains("***") && shown.contains("broker"), "{shown}");
        }
        assert!(to_toml(&patch.apply(Map::new())).contains("hunter2"));
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let deep = (0..20).fold(json!(1), |inner, _| json!({ "a": inner }));
        let table = [
            (json!(3), PatchError::NoTable("a number")),
            (json!({}), PatchError::Empty),
            (json!("a = 1\nfps 25"), PatchError::NotToml { line: 2 }),
            (json!({"x": "y".repeat(MAX_PATCH_BYTES)}), PatchError::TooLong),
            (deep, PatchError::TooDeep),
            (json!({"box": {"data_dir": "/tmp"}}), PatchError::Fixed("box", "data_dir")),
        ];
        for (value, error) in table {
            assert_eq!(Patch::from_json(&value), Err(error));
        }
    }
}
