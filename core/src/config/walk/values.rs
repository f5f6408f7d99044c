//! Reading one value: its type, its range, its unit. What is wrong is pushed to the walk and read as absent.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::super::units;
use super::{Item, Walk};

impl Walk<'_> {
    pub fn text<'t>(&mut self, item: &Item<'t>, allowed: &str) -> Option<&'t str> {
        let text = item.value.as_str();
        if text.is_none() {
            self.wrong(item, format!("is {}, not text in quotes", type_of(item.value)), allowed);
        }
        text
    }

    /// Text for people: 1 to `max` characters, none of them a control character.
    pub fn name(&mut self, item: &Item<'_>, max: usize) -> Option<String> {
        let allowed = format!("1–{max} characters of text");
        let text = self.text(item, &allowed)?;
        let chars = text.chars().count();
        let what = if text.trim().is_empty() {
            "is empty".to_owned()
        } else if chars > max {
            format!("has {chars} characters")
        } else if text.chars().any(char::is_control) {
            "holds a control character".to_owned()
        } else {
            return Some(text.to_owned());
        };
        self.wrong(item, what, allowed);
        None
    }

    /// A name for machines: `[a-z0-9-]{1,32}`.
    pub fn identifier(&mut self, item: &Item<'_>) -> Option<String> {
        const ALLOWED: &str = "1–32 of a–z, 0–9 and -";
        let text = self.text(item, ALLOWED)?;
        let fits = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !fits {
            self.wrong(item, format!("is {}", quoted(text)), ALLOWED);
        }
        fits.then(|| text.to_owned())
    }

    pub fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        let value = item.value.as_bool();
        if value.is_none() {
            self.wrong(item, format!("is {}", shown(item.value)), "true, false");
        }
        value
    }

    pub fn whole(&mut self, item: &Item<'_>, range: RangeInclusive<u32>, unit: &str) -> Option<u32> {
        let value = integer(item.value).and_then(|number| u32::try_from(number).ok());
        let value = value.filter(|number| range.contains(number));
        if value.is_none() {
            let not_whole = if item.value.is_integer() { "" } else { ", not a whole number" };
            let what = format!("is {}{not_whole}", shown(item.value));
            self.wrong(item, what, format!("{}–{}{unit}", range.start(), range.end()));
        }
        value
    }

    /// A whole number of either sign.
    pub fn signed(&mut self, item: &Item<'_>) -> Option<i64> {
        let value = integer(item.value).and_then(|number| i32::try_from(number).ok());
        if value.is_none() {
            self.wrong(item, format!("is {}", shown(item.value)), "a whole number, true, false");
        }
        value.map(i64::from)
    }

    #[expect(clippy::cast_precision_loss, reason = "whole seconds and minutes are small")]
    pub fn number(&mut self, item: &Item<'_>, range: RangeInclusive<f64>, unit: &str) -> Option<f64> {
        let float = item.value.as_float().and_then(|float| float.as_str().parse::<f64>().ok());
        let value = float.or_else(|| integer(item.value).map(|number| number as f64));
        let value = value.filter(|number| range.contains(number));
        if value.is_none() {
            self.wrong(item, format!("is {}", shown(item.value)), format!("{}–{}{unit}", range.start(), range.end()));
        }
        value
    }

    pub fn choice<T: Copy>(&mut self, item: &Item<'_>, choices: &[(&str, T)]) -> Option<T> {
        let found = item.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if found.is_none() {
            let allowed = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
            self.wrong(item, format!("is {}", shown(item.value)), allowed);
        }
        found.map(|(_, value)| *value)
    }

    /// Bits per second.
    pub fn bitrate(&mut self, item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let allowed =
            format!("\"{}\" to \"{}\"", units::show_bitrate(*range.start()), units::show_bitrate(*range.end()));
        self.quantity(item, &range, allowed, units::parse_bitrate)
    }

    /// Bytes.
    pub fn bytes(&mut self, item: &Item<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let allowed = format!("\"{}\" to \"{}\"", units::show_bytes(*range.start()), units::show_bytes(*range.end()));
        self.quantity(item, &range, allowed, units::parse_bytes)
    }

    fn quantity(
        &mut self,
        item: &Item<'_>,
        range: &RangeInclusive<u64>,
        allowed: String,
        parse: fn(&str) -> Result<u64, String>,
    ) -> Option<u64> {
        let what = match item.value.as_str().map(parse) {
            None => format!("is {}, not text with a unit", shown(item.value)),
            Some(Err(what)) => format!("{} {what}", shown(item.value)),
            Some(Ok(value)) if range.contains(&value) => return Some(value),
            Some(Ok(_)) => format!("is {}", shown(item.value)),
        };
        self.wrong(item, what, allowed);
        None
    }

    /// A path, joined to the file's folder when it is relative.
    pub fn path(&mut self, item: &Item<'_>) -> Option<String> {
        const ALLOWED: &str = "a path, absolute or relative to this file";
        let text = self.text(item, ALLOWED)?;
        if text.is_empty() || text.contains('\0') {
            self.wrong(item, "is not a path", ALLOWED);
            return None;
        }
        Some(join(self.base_dir, text))
    }

    /// What a secret's file holds, without the line end.
    pub fn secret_file(&mut self, item: &Item<'_>) -> Option<String> {
        let path = self.path(item)?;
        match (self.read_secret)(&path) {
            Ok(text) => self.secret_text(item, text.trim_end_matches(['\r', '\n'])),
            Err(why) => {
                self.wrong(item, format!("cannot be read: {why}"), "a readable file, or the name of a credential");
                None
            }
        }
    }

    /// Checks a secret without ever showing it.
    pub fn secret_text(&mut self, item: &Item<'_>, text: &str) -> Option<String> {
        let what = if text.trim().is_empty() {
            "holds nothing"
        } else if text.chars().any(char::is_control) {
            "holds more than one line, or a control character"
        } else if text.len() > 4096 {
            "is longer than 4096 bytes"
        } else {
            return Some(text.to_owned());
        };
        self.wrong(item, what, "one line of text");
        None
    }

    /// A list of texts.
    pub fn names(&mut self, item: &Item<'_>) -> Vec<String> {
        const ALLOWED: &str = "a list of texts: [\"a\", \"b\"]";
        let Some(array) = item.value.as_array() else {
            self.wrong(item, format!("is {}", type_of(item.value)), ALLOWED);
            return Vec::new();
        };
        let texts: Vec<String> = array.iter().filter_map(|entry| entry.get_ref().as_str()).map(str::to_owned).collect();
        if texts.len() != array.len() {
            self.wrong(item, "holds something that is not text", ALLOWED);
        }
        texts
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn join(base_dir: &str, path: &str) -> String {
    if path.starts_with('/') || base_dir.is_empty() {
        path.to_owned()
    } else {
        format!("{}/{path}", base_dir.trim_end_matches('/'))
    }
}

pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What the file says, short enough for one line.
fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => shorten(&number.to_string()),
        DeValue::Float(number) => shorten(number.as_str()),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => type_of(value).to_owned(),
    }
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", shorten(text))
}

/// At most 60 characters, none of which moves a terminal's cursor.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 60;
    let mut short: String = text.chars().take(MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if text.chars().nth(MAX).is_some() {
        short.push('…');
    }
    short
}
