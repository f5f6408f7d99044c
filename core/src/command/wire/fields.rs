//! Reading a JSON body's fields: types, ranges, and the words for what does not fit.

use serde_json::{Map, Value};

use crate::config::patch::Patch;
use crate::ids::{CommandId, ShowId, SlotId};

use super::{GAIN_DB, MAX_ID_CHARS, MAX_NAME_CHARS, Verb, WireError};

/// A body's fields, read by the verb that they belong to.
pub(super) struct Fields<'a> {
    pub verb: &'static Verb,
    pub fields: &'a Map<String, Value>,
}

impl Fields<'_> {
    /// JSON's null is the same as absence.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn need(&self, name: &'static str, allowed: impl FnOnce() -> String) -> Result<&Value, WireError> {
        self.get(name).ok_or_else(|| WireError::Missing { verb: self.verb.name, argument: name, allowed: allowed() })
    }

    pub fn slot(&self) -> Result<SlotId, WireError> {
        let allowed = || format!("1–{}", SlotId::MAX);
        let value = self.need("slot", allowed)?;
        match whole_number(value) {
            Some(number) => u8::try_from(number)
                .ok()
                .and_then(SlotId::new)
                .ok_or_else(|| WireError::NoSuchSlot { given: shorten(&value.to_string()) }),
            None => Err(bad("slot", format!("is {}, not a whole number", show(value)), allowed())),
        }
    }

    pub fn whole(&self, name: &'static str, range: std::ops::RangeInclusive<u32>) -> Result<u32, WireError> {
        let unit = if name == "ms" { " ms" } else { "" };
        let allowed = || format!("{}–{}{unit}", range.start(), range.end());
        let value = self.need(name, allowed)?;
        let number = whole_number(value)
            .ok_or_else(|| bad(name, format!("is {}, not a whole number", show(value)), allowed()))?;
        u32::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| bad(name, format!("is {}", show(value)), allowed()))
    }

    pub fn decibels(&self) -> Result<f64, WireError> {
        let allowed = || format!("{} to {} dB", GAIN_DB.start(), GAIN_DB.end());
        let value = self.need("db", allowed)?;
        let number = value.as_f64().ok_or_else(|| bad("db", format!("is {}, not a number", show(value)), allowed()))?;
        if GAIN_DB.contains(&number) { Ok(number) } else { Err(bad("db", format!("is {}", show(value)), allowed())) }
    }

    pub fn switch(&self) -> Result<bool, WireError> {
        let allowed = || "true, false".to_owned();
        let value = self.need("on", allowed)?;
        value.as_bool().ok_or_else(|| bad("on", format!("is {}", show(value)), allowed()))
    }

    pub fn choice(&self, name: &'static str, choices: &[&'static str]) -> Result<&'static str, WireError> {
        let value = self.need(name, || choices.join(", "))?;
        choices
            .iter()
            .copied()
            .find(|choice| value.as_str() == Some(choice))
            .ok_or_else(|| bad(name, format!("is {}", show(value)), choices.join(", ")))
    }

    pub fn patch(&self) -> Result<Patch, WireError> {
        let allowed = || "an object, or TOML, as config/cuebox.toml has it".to_owned();
        let value = self.need("patch", allowed)?;
        Patch::from_json(value).map_err(|error| bad("patch", error.to_string(), allowed()))
    }

    /// A show's id is a folder's name.
    pub fn show_id(&self) -> Result<ShowId, WireError> {
        let text = self.text("show", MAX_NAME_CHARS)?;
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Ok(ShowId::new(text));
        }
        Err(bad("show", format!("is \"{}\"", shorten(&text)), "the id of a show: letters, digits, `-`".to_owned()))
    }

    pub fn text(&self, name: &'static str, max_chars: usize) -> Result<String, WireError> {
        let allowed = || format!("1–{max_chars} characters of text");
        let value = self.need(name, allowed)?;
        let text = value.as_str().ok_or_else(|| bad(name, format!("is {}, not text", show(value)), allowed()))?;
        check_text(text, max_chars).map_err(|what| bad(name, what, allowed()))?;
        Ok(text.to_owned())
    }
}

fn check_text(text: &str, max_chars: usize) -> Result<(), String> {
    let chars = text.chars().count();
    if text.trim().is_empty() {
        Err("is empty".to_owned())
    } else if chars > max_chars {
        Err(format!("has {chars} characters"))
    } else if text.chars().any(char::is_control) {
        Err("holds a control character".to_owned())
    } else {
        Ok(())
    }
}

pub(super) fn command_id(value: &Value) -> Result<CommandId, WireError> {
    let allowed = || format!("1–{MAX_ID_CHARS} characters of text");
    let text = value.as_str().ok_or_else(|| bad("id", format!("is {}, not text", show(value)), allowed()))?;
    check_text(text, MAX_ID_CHARS).map_err(|what| bad("id", what, allowed()))?;
    Ok(CommandId::new(text))
}

/// A whole number, also when it is written as `3.0`.
fn whole_number(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and what saturates is out of every range here")]
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
}

pub(super) fn bad(argument: &str, what: String, allowed: String) -> WireError {
    WireError::BadArgument { argument: argument.to_owned(), what, allowed }
}

pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What was given, short enough for one line.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", shorten(text)),
        Value::Bool(_) | Value::Number(_) => shorten(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => type_of(value).to_owned(),
    }
}

pub(super) fn shorten(text: &str) -> String {
    const MAX: usize = 40;
    let mut short: String = text.chars().take(MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MAX).is_some() {
        short.push('…');
    }
    short
}
