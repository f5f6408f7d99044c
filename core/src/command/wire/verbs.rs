//! The table of verbs: what help texts and completions show, and which fields a body may have.

use std::fmt;

/// One form of a verb. A verb with a choice has one row for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb {
    pub name: &'static str,
    /// The choice, in JSON the field `action`, on a command line the second word.
    pub action: Option<&'static str>,
    /// In the order of the command line.
    pub arguments: &'static [Argument],
    /// One line.
    pub help: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The JSON field.
    pub name: &'static str,
    pub kind: Kind,
    pub optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Slot,
    /// `on`/`off` in words, a boolean in JSON.
    Switch,
    Choice(&'static [&'static str]),
    Millis,
    Decibels,
    /// How many.
    Count,
    /// An object, or TOML as text; takes the rest of a command line.
    Patch,
    /// Takes the rest of a command line.
    Text,
}

impl Verb {
    /// Whether a JSON body of this verb may have this field.
    pub fn takes(&self, field: &str) -> bool {
        matches!(field, "verb" | "id" | "at")
            || (field == "action" && self.action.is_some())
            || self.arguments.iter().any(|argument| argument.name == field)
    }
}

/// As typed on a command line: `audio gain SLOT DB`.
impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(action) = self.action {
            write!(f, " {action}")?;
        }
        for argument in self.arguments {
            let shown = match argument.kind {
                Kind::Switch => "on|off".to_owned(),
                Kind::Choice(choices) => choices.join("|"),
                Kind::Slot | Kind::Millis | Kind::Decibels | Kind::Count | Kind::Patch | Kind::Text => {
                    argument.name.to_uppercase()
                }
            };
            if argument.optional { write!(f, " [{shown}]")? } else { write!(f, " {shown}")? }
        }
        Ok(())
    }
}

const fn arg(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind, optional: false }
}

const SLOT: Argument = arg("slot", Kind::Slot);
const ON: Argument = arg("on", Kind::Switch);
const NAME: Argument = arg("name", Kind::Text);
const PATCH: Argument = arg("patch", Kind::Patch);

const fn row(
    name: &'static str,
    action: Option<&'static str>,
    arguments: &'static [Argument],
    help: &'static str,
) -> Verb {
    Verb { name, action, arguments, help }
}

/// Every verb, in the order that help shows them.
pub const VERBS: &[Verb] = &[
    row("cut", None, &[SLOT], "put a slot on air at once"),
    row("preview", None, &[SLOT], "choose the slot that `take` and `auto` put on air"),
    row("take", None, &[], "swap preview and program"),
    row(
        "auto",
        None,
        &[arg("kind", Kind::Choice(&["fade", "dip"])), arg("ms", Kind::Millis)],
        "go to the preview with a transition of 40–10000 ms",
    ),
    row("slate", None, &[ON], "show the slate until it is switched off; a cut meanwhile chooses what returns"),
    row("hold", None, &[ON], "forbid automatic changes of the picture; a lost source then means the slate"),
    row(
        "audio",
        Some("mode"),
        &[
            arg("mode", Kind::Choice(&["follow", "slot", "mix"])),
            Argument { name: "slot", kind: Kind::Slot, optional: true },
        ],
        "whose sound the program has: that of the picture, always one slot's, or all together",
    ),
    row("audio", Some("mute"), &[SLOT, ON], "silence a slot in the program; its own recording keeps its sound"),
    row(
        "audio",
        Some("gain"),
        &[SLOT, arg("db", Kind::Decibels)],
        "add −60 to +12 dB to a slot's sound in the program",
    ),
    row("audio", Some("delay"), &[SLOT, arg("ms", Kind::Millis)], "hold a slot's sound back by 0–1000 ms"),
    row(
        "show",
        Some("start"),
        &[Argument { name: "name", kind: Kind::Text, optional: true }],
        "start a show: recording and streaming",
    ),
    row("show", Some("stop"), &[], "end the show: streaming stops, recordings are sealed"),
    row("show", Some("delete"), &[arg("show", Kind::Text)], "remove a show that is over, with all its files; for good"),
    row("stream", Some("start"), &[], "publish to the configured legs"),
    row("stream", Some("stop"), &[], "stop publishing; recording goes on"),
    row("record", Some("start"), &[], "record; starts a show when none runs"),
    row("record", Some("stop"), &[], "stop recording; streaming goes on"),
    row("marker", None, &[arg("text", Kind::Text)], "write a note into the timeline, at the present frame"),
    row("snapshot", None, &[SLOT], "take a picture of a slot now"),
    row("rename", None, &[SLOT, NAME], "give a slot another name"),
    row("leg", Some("enable"), &[NAME], "let a leg publish again; one that waits for its next try tries at once"),
    row("leg", Some("disable"), &[NAME], "stop one leg and leave the others alone"),
    row("leg", Some("reconnect"), &[NAME], "begin a leg's connection anew and leave the others alone"),
    row("leg", Some("unmute"), &[NAME], "ask for what the host of the room muted"),
    row("lock", None, &[ON], "make the keys of every panel do nothing, or let them work again"),
    row("identify", None, &[], "blink every lamp of every panel for some seconds"),
    row("config", Some("patch"), &[PATCH], "change the configuration; what needs a restart is named, and waits for it"),
    row("config", Some("check"), &[PATCH], "what `config patch` would come to; nothing is changed"),
    row(
        "journal",
        None,
        &[Argument { name: "lines", kind: Kind::Count, optional: true }],
        "the newest lines of the journal, 1–500 (100)",
    ),
    row("doctor", None, &[], "everything that is wrong or risky on the box, each with its remedy"),
    row("reload", None, &[], "read the configuration again; a bad one changes nothing"),
    row("restart", None, &[], "seal everything and start the service anew"),
];

/// Verbs that are promised and cannot be done yet. They are refused, and not shown.
pub(super) const LATER_VERBS: &[&str] = &["layout", "overlay", "upload"];
