//! What a message on a command's topic means.
//!
//! | message | becomes |
//! |---|---|
//! | retained and empty | nothing: somebody cleans up |
//! | retained | refused: it would be carried out again at every connection |
//! | a JSON object | the verb's body as over HTTP; `verb` may be left out, `id` and `at` may be there |
//! | another JSON value, or words | the words after the verb on a command line |
//! | `take`, `auto`, `marker` without an id and without correlation data | refused: sent twice they would act twice |
//!
//! The id is the body's, else it is made of response topic and correlation data, else whoever receives it makes one.

use serde_json::{Map, Value, json};

use crate::command::Command;
use crate::command::wire::{self, WireError};
use crate::ids::CommandId;
use crate::time::rfc3339_unix_ns;

use super::Topics;

/// Longest payload that is read; the same as a command's over HTTP.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// A command that is older acts no more: whoever sent it has looked elsewhere since.
pub const STALE_S: i64 = 10;
/// Longest correlation data that an id is made of, bytes.
const MAX_CORRELATION_BYTES: usize = 48;
/// Verbs that act twice when they are sent twice.
const ONCE: [&str; 3] = ["take", "auto", "marker"];

/// A message as it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    pub retained: bool,
    pub response_topic: Option<&'a str>,
    pub correlation: Option<&'a [u8]>,
}

/// Where an answer goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// `None`: nobody can be told.
    pub topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Nothing,
    Command {
        id: CommandId,
        command: Command,
        late: Option<String>,
        reply: Reply,
    },
    /// Not a command, or not one that acts. The body is what HTTP would answer.
    Refused {
        body: Value,
        reply: Reply,
    },
}

/// Reads a message. `fresh`: an id for a command that brings none. `now_unix_ns`: `None` when the clock is not to be
/// believed.
pub fn read(topics: &Topics, message: &Message<'_>, fresh: CommandId, now_unix_ns: Option<i64>) -> Received {
    if message.retained && message.payload.is_empty() {
        return Received::Nothing;
    }
    let fields = fields(topics, message);
    let given = fields.as_ref().ok().and_then(|fields| fields.get("id")).and_then(Value::as_str).map(str::to_owned);
    let correlated = given.is_none().then(|| correlated(message)).flatten();
    let named = given.is_some() || correlated.is_some();
    let id = given.or(correlated).unwrap_or_else(|| fresh.as_str().to_owned());
    let reply = reply(topics, message, &id);
    let command = fields.and_then(|fields| {
        if message.retained {
            return Err("a retained command is not carried out: publish it without retain".to_owned());
        }
        command(fields, &id, named)
    });
    match command {
        Ok((command, at)) => {
            let id = CommandId::new(id);
            Received::Command { late: at.and_then(|at| late(at, now_unix_ns)), id, command, reply }
        }
        Err(why) => {
            let short: String = id.chars().take(wire::MAX_ID_CHARS).collect();
            Received::Refused { body: json!({ "id": short, "result": "refused", "why": why }), reply }
        }
    }
}

fn fields(topics: &Topics, message: &Message<'_>) -> Result<Map<String, Value>, String> {
    let Some(verb) = topics.verb(message.topic) else { return Err("it is not on a command's topic".to_owned()) };
    if message.payload.len() > MAX_PAYLOAD_BYTES {
        return Err(format!("longer than {MAX_PAYLOAD_BYTES} bytes"));
    }
    let text = std::str::from_utf8(message.payload)
        .map_err(|error| format!("not a command: invalid UTF-8 at byte {}", error.valid_up_to()))?;
    let text = text.trim();
    let mut fields = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(Value::String(words)) => words_of(verb, &words)?,
        Ok(Value::Number(_) | Value::Bool(_)) => words_of(verb, text)?,
        Ok(Value::Null | Value::Array(_)) => return Err("not a command: neither an object nor words".to_owned()),
        Err(error) if text.starts_with(['{', '[', '"']) => return Err(format!("not a command: {error}")),
        Err(_) => words_of(verb, text)?,
    };
    match fields.get("verb") {
        None => drop(fields.insert("verb".to_owned(), json!(verb))),
        Some(given) if given == verb => {}
        Some(_) => return Err("not a command: `verb` is another one than the topic's".to_owned()),
    }
    Ok(fields)
}

/// A bare value, read as the words after the verb on a command line.
fn words_of(verb: &str, text: &str) -> Result<Map<String, Value>, String> {
    let words: Vec<String> = std::iter::once(verb).chain(text.split_whitespace()).map(str::to_owned).collect();
    let command = wire::from_words(&words).map_err(|error| error.to_string())?;
    let Value::Object(fields) = wire::to_json(&command) else { return Err("not a command".to_owned()) };
    Ok(fields)
}

fn command(fields: Map<String, Value>, id: &str, named: bool) -> Result<(Command, Option<i64>), String> {
    let at = fields.get("at").map(time).transpose()?;
    let once = fields.get("verb").and_then(Value::as_str).is_some_and(|verb| ONCE.contains(&verb));
    let request = wire::from_json(&Value::Object(fields)).map_err(|error: WireError| error.to_string())?;
    if once && !named {
        return Err(
            "`take`, `auto` and `marker` need an `id` or correlation data: sent twice they act twice".to_owned()
        );
    }
    if named && id.contains(['+', '#', '/']) {
        return Err("`id` holds +, # or /, which a reply's topic cannot".to_owned());
    }
    Ok((request.command, at))
}

/// Nanoseconds since 1970.
fn time(value: &Value) -> Result<i64, String> {
    const ALLOWED: &str = "`at` is no time (allowed: RFC 3339 like \"2026-11-21T18:30:05.250Z\", seconds since 1970)";
    let time = match value {
        Value::String(text) => rfc3339_unix_ns(text),
        // Nanoseconds of this century fit; what does not saturates, and is late or not just as well.
        Value::Number(seconds) => seconds.as_f64().map(|seconds| (seconds * 1e9) as i64),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    time.ok_or_else(|| ALLOWED.to_owned())
}

fn late(at: i64, now: Option<i64>) -> Option<String> {
    let age_s = now?.saturating_sub(at) / 1_000_000_000;
    (age_s >= STALE_S)
        .then(|| format!("it was sent {age_s} s ago, and what is older than {STALE_S} s is not carried out"))
}

/// Two senders may count alike, so the response topic is part of it.
fn correlated(message: &Message<'_>) -> Option<String> {
    let data = message.correlation.filter(|data| !data.is_empty() && data.len() <= MAX_CORRELATION_BYTES)?;
    let sender = crate::fnv::fnv1a(message.response_topic.unwrap_or_default().as_bytes());
    let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("c-{sender:016x}-{hex}"))
}

fn reply(topics: &Topics, message: &Message<'_>, id: &str) -> Reply {
    let correlation = message.correlation.map(<[u8]>::to_vec);
    let fits = |topic: &&str| !topic.is_empty() && topic.len() <= 1024 && !topic.contains(['+', '#', '\0']);
    // An answer on a command's topic would come back as a command.
    let own = |topic: &&str| topics.verb(topic).is_none();
    let asked = message.response_topic.filter(fits).filter(own).map(str::to_owned);
    let short = id.len() <= 4 * wire::MAX_ID_CHARS;
    Reply {
        topic: asked.or_else(|| topics.reply(id).filter(|_| short)).or_else(|| topics.reply("invalid")),
        correlation,
    }
}

#[cfg(test)]
mod tests;
