//! Commands as JSON and as words on a command line.
//!
//! Owns the outward names: verbs, argument names, ranges. A JSON body is one flat object: `verb`, the verb's arguments,
//! and for every verb `id` and `at`. A verb with a choice has it in `action`, a switch is a boolean in `on`. Words are
//! turned into such a body first, so both forms meet the same checks. Nothing here knows a transport or a state: that
//! a slot has no camera, or that a leg's name is not known, is the director's answer.

mod fields;
mod verbs;

use serde_json::{Map, Value, json};

use crate::ids::{CommandId, LegId, SlotId};
use crate::similar::nearest;

use super::{AudioCommand, AudioMode, Command, Transition};
use fields::{Fields, bad, command_id, shorten, show, type_of};
use verbs::LATER_VERBS;
pub use verbs::{Argument, Kind, VERBS, Verb};

/// Characters of a marker's text.
pub const MAX_MARKER_CHARS: usize = 500;
/// Characters of a name.
pub const MAX_NAME_CHARS: usize = 64;
/// Characters of a command's id.
pub const MAX_ID_CHARS: usize = 128;
/// Milliseconds that a transition may take.
pub const TRANSITION_MS: std::ops::RangeInclusive<u32> = 40..=10_000;
/// Milliseconds that a slot's sound may be held back.
pub const DELAY_MS: std::ops::RangeInclusive<u32> = 0..=1_000;
/// Lines of the journal that are told at once.
pub const JOURNAL_LINES: std::ops::RangeInclusive<u32> = 1..=500;
/// Those that are told when nobody says how many.
const USUAL_LINES: u32 = 100;
/// Decibels that may be added to a slot's sound.
pub const GAIN_DB: std::ops::RangeInclusive<f64> = -60.0..=12.0;

/// What a body asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// `None`: whoever received it makes one.
    pub id: Option<CommandId>,
    pub command: Command,
}

/// Why something is not a command. Its text is for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("not a command: {what}")]
    Malformed { what: String },
    #[error("unknown verb `{verb}`{}", did_you_mean(*.nearest))]
    UnknownVerb { verb: String, nearest: Option<&'static str> },
    /// A verb of the vocabulary that this version cannot do; nothing else of the command was looked at.
    #[error("`{verb}` is not supported by this version")]
    Unsupported { verb: &'static str },
    #[error("`{verb}` has no `{field}` (allowed: {allowed})")]
    UnknownField { verb: &'static str, field: String, allowed: String },
    #[error("`{verb}` needs `{argument}` (allowed: {allowed})")]
    Missing { verb: &'static str, argument: &'static str, allowed: String },
    #[error("`{argument}` {what} (allowed: {allowed})")]
    BadArgument { argument: String, what: String, allowed: String },
    /// Well-formed, but it names something that cannot be there.
    #[error("slot {given} does not exist (allowed: 1–{})", SlotId::MAX)]
    NoSuchSlot { given: String },
}

impl WireError {
    /// A command that is understood and refused, as opposed to one that is not understood.
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::NoSuchSlot { .. } | Self::Unsupported { .. })
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|verb| format!(" (did you mean `{verb}`?)")).unwrap_or_default()
}

/// Reads a JSON body. Nesting is bounded by the parser (128), size by the transport.
///
/// # Errors
/// [`WireError`], see [`WireError::is_refusal`] for the two classes.
pub fn parse_request(body: &[u8]) -> Result<Request, WireError> {
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("invalid UTF-8 at byte {}", error.valid_up_to())))?;
    let value: Value = serde_json::from_str(text).map_err(|error| malformed(error.to_string()))?;
    from_json(&value)
}

/// Reads a body that is JSON already.
///
/// # Errors
/// As [`parse_request`].
pub fn from_json(value: &Value) -> Result<Request, WireError> {
    let Value::Object(fields) = value else {
        return Err(malformed(format!("{} where an object with a `verb` belongs", type_of(value))));
    };
    let name = match fields.get("verb") {
        Some(Value::String(name)) => name,
        Some(other) => return Err(malformed(format!("`verb` is {}, not text", type_of(other)))),
        None => return Err(malformed("it has no `verb`".to_owned())),
    };
    let id = fields.get("id").map(command_id).transpose()?;
    let verb = find_verb(name, fields)?;
    if let Some(field) = fields.keys().find(|field| !verb.takes(field)) {
        return Err(unknown_field(verb, field));
    }
    Ok(Request { id, command: build(&Fields { verb, fields })? })
}

/// Reads the words of a command line, for example `cut 3` or `show start Anna and Ben`. The last argument of a verb
/// takes all the words that are left when it is a text.
///
/// # Errors
/// As [`parse_request`].
pub fn from_words(words: &[String]) -> Result<Command, WireError> {
    let Some((name, mut rest)) = words.split_first() else {
        return Err(malformed("it has no verb".to_owned()));
    };
    let mut fields = Map::from_iter([("verb".to_owned(), json!(name))]);
    if VERBS.iter().any(|verb| verb.name == name && verb.action.is_some())
        && let Some((action, after)) = rest.split_first()
    {
        fields.insert("action".to_owned(), json!(action));
        rest = after;
    }
    let verb = find_verb(name, &fields)?;
    for argument in verb.arguments {
        let word = match rest.split_first() {
            None => break,
            Some(_) if matches!(argument.kind, Kind::Text | Kind::Patch) => std::mem::take(&mut rest).join(" "),
            Some((word, after)) => {
                rest = after;
                word.clone()
            }
        };
        fields.insert(argument.name.to_owned(), word_value(argument, &word)?);
    }
    if let Some(extra) = rest.first() {
        return Err(malformed(format!("`{}` is one word too many (usage: {verb})", shorten(extra))));
    }
    from_json(&Value::Object(fields)).map(|request| request.command)
}

/// The command's body, without an id; [`from_json`] reads it back.
pub fn to_json(command: &Command) -> Value {
    match command {
        Command::Cut { slot } => json!({ "verb": "cut", "slot": slot }),
        Command::Preview { slot } => json!({ "verb": "preview", "slot": slot }),
        Command::Take => json!({ "verb": "take" }),
        Command::Auto { kind, ms } => json!({ "verb": "auto", "kind": kind, "ms": ms }),
        Command::Slate { on } => json!({ "verb": "slate", "on": on }),
        Command::Hold { on } => json!({ "verb": "hold", "on": on }),
        Command::Audio(audio) => audio_to_json(*audio),
        Command::ShowStart { name: None } => json!({ "verb": "show", "action": "start" }),
        Command::ShowStart { name: Some(name) } => json!({ "verb": "show", "action": "start", "name": name }),
        Command::ShowStop => json!({ "verb": "show", "action": "stop" }),
        Command::ShowDelete { show } => json!({ "verb": "show", "action": "delete", "show": show }),
        Command::Stream { on } => json!({ "verb": "stream", "action": start_or_stop(*on) }),
        Command::Record { on } => json!({ "verb": "record", "action": start_or_stop(*on) }),
        Command::Marker { text } => json!({ "verb": "marker", "text": text }),
        Command::Snapshot { slot } => json!({ "verb": "snapshot", "slot": slot }),
        Command::Rename { slot, name } => json!({ "verb": "rename", "slot": slot, "name": name }),
        Command::Leg { name, on } => {
            json!({ "verb": "leg", "action": if *on { "enable" } else { "disable" }, "name": name })
        }
        Command::LegReconnect { name } => json!({ "verb": "leg", "action": "reconnect", "name": name }),
        Command::LegUnmute { name } => json!({ "verb": "leg", "action": "unmute", "name": name }),
        Command::Lock { on } => json!({ "verb": "lock", "on": on }),
        Command::Identify => json!({ "verb": "identify" }),
        Command::Config { patch, check } => {
            json!({ "verb": "config", "action": if *check { "check" } else { "patch" }, "patch": patch.reveal() })
        }
        Command::Tail { lines } => json!({ "verb": "journal", "lines": lines }),
        Command::Doctor => json!({ "verb": "doctor" }),
        Command::Reload => json!({ "verb": "reload" }),
        Command::Restart => json!({ "verb": "restart" }),
    }
}

fn audio_to_json(audio: AudioCommand) -> Value {
    match audio {
        AudioCommand::Mode(AudioMode::Follow) => json!({ "verb": "audio", "action": "mode", "mode": "follow" }),
        AudioCommand::Mode(AudioMode::Mix) => json!({ "verb": "audio", "action": "mode", "mode": "mix" }),
        AudioCommand::Mode(AudioMode::Slot(slot)) => {
            json!({ "verb": "audio", "action": "mode", "mode": "slot", "slot": slot })
        }
        AudioCommand::Mute { slot, on } => json!({ "verb": "audio", "action": "mute", "slot": slot, "on": on }),
        AudioCommand::Gain { slot, db } => json!({ "verb": "audio", "action": "gain", "slot": slot, "db": db }),
        AudioCommand::Delay { slot, ms } => json!({ "verb": "audio", "action": "delay", "slot": slot, "ms": ms }),
    }
}

const fn start_or_stop(on: bool) -> &'static str {
    if on { "start" } else { "stop" }
}

/// The row of the table that a body means.
fn find_verb(name: &str, fields: &Map<String, Value>) -> Result<&'static Verb, WireError> {
    let mut rows = VERBS.iter().filter(|verb| verb.name == name).peekable();
    let Some(first) = rows.peek().copied() else {
        if let Some(verb) = LATER_VERBS.iter().find(|verb| **verb == name) {
            return Err(WireError::Unsupported { verb });
        }
        return Err(WireError::UnknownVerb {
            verb: shorten(name),
            nearest: nearest(name, VERBS.iter().map(|verb| verb.name)),
        });
    };
    if first.action.is_none() {
        return Ok(first);
    }
    let allowed = VERBS.iter().filter(|verb| verb.name == name).filter_map(|verb| verb.action).collect::<Vec<_>>();
    match fields.get("action") {
        None => Err(WireError::Missing { verb: first.name, argument: "action", allowed: allowed.join(", ") }),
        Some(given) => rows
            .find(|verb| given.as_str() == verb.action)
            .ok_or_else(|| bad("action", format!("is {}", show(given)), allowed.join(", "))),
    }
}

fn unknown_field(verb: &'static Verb, field: &str) -> WireError {
    let own = verb.action.map(|_| "action").into_iter().chain(verb.arguments.iter().map(|argument| argument.name));
    let allowed = own.chain(["id", "at"]).collect::<Vec<_>>().join(", ");
    WireError::UnknownField { verb: verb.name, field: shorten(field), allowed }
}

fn build(fields: &Fields<'_>) -> Result<Command, WireError> {
    let action = fields.verb.action;
    Ok(match (fields.verb.name, action) {
        ("cut", _) => Command::Cut { slot: fields.slot()? },
        ("preview", _) => Command::Preview { slot: fields.slot()? },
        ("take", _) => Command::Take,
        ("auto", _) => {
            let kind =
                if fields.choice("kind", &["fade", "dip"])? == "fade" { Transition::Fade } else { Transition::Dip };
            Command::Auto { kind, ms: fields.whole("ms", TRANSITION_MS)? }
        }
        ("slate", _) => Command::Slate { on: fields.switch()? },
        ("hold", _) => Command::Hold { on: fields.switch()? },
        ("audio", Some(action)) => Command::Audio(build_audio(fields, action)?),
        ("show", Some("start")) => {
            let given = fields.get("name").is_some();
            Command::ShowStart { name: given.then(|| fields.text("name", MAX_NAME_CHARS)).transpose()? }
        }
        ("show", Some("delete")) => Command::ShowDelete { show: fields.show_id()? },
        ("show", _) => Command::ShowStop,
        ("stream", action) => Command::Stream { on: action == Some("start") },
        ("record", action) => Command::Record { on: action == Some("start") },
        ("marker", _) => Command::Marker { text: fields.text("text", MAX_MARKER_CHARS)? },
        ("snapshot", _) => Command::Snapshot { slot: fields.slot()? },
        ("rename", _) => Command::Rename { slot: fields.slot()?, name: fields.text("name", MAX_NAME_CHARS)? },
        ("leg", action) => {
            let name = LegId::new(fields.text("name", MAX_NAME_CHARS)?);
            match action {
                Some("reconnect") => Command::LegReconnect { name },
                Some("unmute") => Command::LegUnmute { name },
                _ => Command::Leg { name, on: action == Some("enable") },
            }
        }
        ("lock", _) => Command::Lock { on: fields.switch()? },
        ("identify", _) => Command::Identify,
        ("config", action) => Command::Config { patch: fields.patch()?, check: action == Some("check") },
        ("journal", _) if fields.get("lines").is_none() => Command::Tail { lines: USUAL_LINES },
        ("journal", _) => Command::Tail { lines: fields.whole("lines", JOURNAL_LINES)? },
        ("doctor", _) => Command::Doctor,
        ("reload", _) => Command::Reload,
        ("restart", _) => Command::Restart,
        (name, _) => return Err(WireError::UnknownVerb { verb: name.to_owned(), nearest: None }),
    })
}

fn build_audio(fields: &Fields<'_>, action: &str) -> Result<AudioCommand, WireError> {
    Ok(match action {
        "mute" => AudioCommand::Mute { slot: fields.slot()?, on: fields.switch()? },
        "gain" => AudioCommand::Gain { slot: fields.slot()?, db: fields.decibels()? },
        "delay" => AudioCommand::Delay { slot: fields.slot()?, ms: fields.whole("ms", DELAY_MS)? },
        _ => match fields.choice("mode", &["follow", "slot", "mix"])? {
            "slot" => AudioCommand::Mode(AudioMode::Slot(fields.slot()?)),
            mode if fields.get("slot").is_some() => {
                return Err(bad("slot", format!("does not go with mode {mode}"), "only with mode slot".to_owned()));
            }
            "mix" => AudioCommand::Mode(AudioMode::Mix),
            _ => AudioCommand::Mode(AudioMode::Follow),
        },
    })
}

/// A word as the JSON value that its argument takes; a word that does not fit stays text, and is refused as such.
fn word_value(argument: &Argument, word: &str) -> Result<Value, WireError> {
    Ok(match argument.kind {
        Kind::Slot | Kind::Millis | Kind::Decibels | Kind::Count => serde_json::from_str::<serde_json::Number>(word)
            .or_else(|_| serde_json::from_str(word.trim_start_matches('+')))
            .map_or_else(|_| json!(word), Value::Number),
        Kind::Switch => match word {
            "on" | "true" => json!(true),
            "off" | "false" => json!(false),
            _ => return Err(bad(argument.name, format!("is {}", show(&json!(word))), "on, off".to_owned())),
        },
        Kind::Choice(_) | Kind::Text | Kind::Patch => json!(word),
    })
}

fn malformed(what: String) -> WireError {
    WireError::Malformed { what }
}

#[cfg(test)]
mod tests;
