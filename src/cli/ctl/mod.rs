//! `cuebox ctl`: speaks to the running box over its local socket.

mod client;
pub(super) mod shows;
mod table;
mod text;
mod watch;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use cuebox_core::command::wire::{self, VERBS};
use cuebox_core::document::Document;
use serde_json::{Value, json};

use client::{Client, Reply};

use super::Failure;
use super::config_file::Loaded;

const SOCKET_VARIABLE: &str = "CUEBOX_SOCKET";

#[derive(clap::Args)]
#[command(after_help = usage())]
pub(super) struct Arguments {
    /// The box's socket [default: the one of --config, else $CUEBOX_SOCKET, else of the default configuration]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Configuration of the box, for its socket
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One JSON value on stdout (`watch`: one for each event)
    #[arg(long)]
    json: bool,
    /// The command's id: sent again with the same id, it is not carried out twice
    #[arg(long)]
    id: Option<String>,
    /// What to do
    #[arg(value_name = "VERB", value_parser = PossibleValuesParser::new(verbs()), hide_possible_values = true)]
    verb: String,
    /// Its arguments
    #[arg(value_name = "ARGS", allow_negative_numbers = true)]
    arguments: Vec<String>,
}

/// Verbs of this program's own, with their usage and help.
const OWN: [(&str, &str, &str); 3] = [
    ("status", "status", "what is on air, the slots, legs and recordings"),
    ("watch", "watch", "the same, live, until Ctrl-C"),
    ("shows", "shows [ID]", "recorded shows, or one of them with its segments and timeline"),
];

fn verbs() -> Vec<&'static str> {
    let mut names: Vec<_> = OWN.iter().map(|(name, ..)| *name).collect();
    for verb in VERBS {
        if !names.contains(&verb.name) {
            names.push(verb.name);
        }
    }
    names
}

fn usage() -> String {
    let own = OWN.iter().map(|(_, usage, help)| (usage.to_string(), *help));
    let rows: Vec<_> = own.chain(VERBS.iter().map(|verb| (verb.to_string(), verb.help))).collect();
    let width = rows.iter().map(|(usage, _)| usage.chars().count()).max().unwrap_or_default();
    let lines = rows.iter().map(|(usage, help)| format!("  {usage:width$}  {help}"));
    format!("Verbs:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// How one verb is typed: a line for each of its forms.
fn usage_of(verb: &str) -> String {
    let forms = VERBS.iter().filter(|row| row.name == verb).map(|row| format!("usage: cuebox ctl {row}"));
    forms.collect::<Vec<_>>().join("\n")
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let call = Call::new(&arguments)?;
    let client = Client::new(socket(&arguments)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("no runtime: {error}")))?;
    runtime.block_on(call.make(&client, arguments.json))
}

/// What the words mean, known before the box is asked.
enum Call {
    Status,
    Watch,
    Shows { id: Option<String> },
    Command { body: Value },
}

impl Call {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let own = |call: Self, most: usize| match arguments.arguments.get(most) {
            None => Ok(call),
            Some(extra) => Err(Failure::Usage(format!("`{extra}` is one word too many for `{}`", arguments.verb))),
        };
        match arguments.verb.as_str() {
            "status" => own(Self::Status, 0),
            "watch" => own(Self::Watch, 0),
            "shows" => own(Self::Shows { id: arguments.arguments.first().cloned() }, 1),
            verb => {
                let words: Vec<_> = [verb.to_owned()].into_iter().chain(arguments.arguments.iter().cloned()).collect();
                let command = wire::from_words(&words).map_err(|error| {
                    if error.is_refusal() {
                        Failure::Failed(format!("refused: {error}"))
                    } else {
                        Failure::Usage(format!("{error}\n{}", usage_of(verb)))
                    }
                })?;
                let mut body = wire::to_json(&command);
                if let Some(id) = &arguments.id {
                    body["id"] = json!(id);
                }
                Ok(Self::Command { body })
            }
        }
    }

    async fn make(self, client: &Client, json: bool) -> Result<(), Failure> {
        match self {
            Self::Watch => watch::run(client, json).await,
            Self::Status => {
                let reply = client.get("/api/v1/status").await?;
                print(reply, json, |status| Ok(table::draw(&read_status(status)?, None, coloured())))
            }
            Self::Shows { id: None } => print(client.get("/api/v1/shows").await?, json, |list| Ok(shows::list(list))),
            Self::Shows { id: Some(id) } => {
                let reply = client.get(&format!("/api/v1/shows/{}", client::escape(&id))).await?;
                print(reply, json, |show| Ok(shows::one(show)))
            }
            Self::Command { body } => print(client.post("/api/v1/commands", &body).await?, json, |answer| {
                let again = answer["result"] == "duplicate";
                Ok(if again { "done before, with this id\n".to_owned() } else { "done\n".to_owned() })
            }),
        }
    }
}

/// Prints what came: with `json` as it is; else an answer in words on stdout, or a reason on stderr.
fn print(reply: Reply, json: bool, describe: impl FnOnce(&Value) -> Result<String, Failure>) -> Result<(), Failure> {
    if json {
        writeln!(io::stdout(), "{}", reply.text)?;
    }
    let refused_before = reply.body["result"] == "duplicate" && reply.body["first"] == "refused";
    match (reply.status.is_success() && !refused_before, json) {
        (true, true) => Ok(()),
        (true, false) => Ok(io::stdout().write_all(describe(&reply.body)?.as_bytes())?),
        (false, true) => Err(Failure::Told),
        (false, false) => Err(Failure::Failed(reason(&reply))),
    }
}

fn reason(reply: &Reply) -> String {
    let text = |key: &str| reply.body.get(key).and_then(Value::as_str);
    match (text("result"), text("why").or(text("error"))) {
        (Some("duplicate"), Some(why)) => format!("refused before, with this id: {why}"),
        (Some(result), Some(why)) => format!("{result}: {why}"),
        (_, Some(why)) => why.to_owned(),
        (_, None) => format!("the box answered {}", reply.status),
    }
}

fn read_status(status: &Value) -> Result<Document, Failure> {
    use serde::Deserialize as _;
    Document::deserialize(status)
        .map_err(|error| Failure::Failed(format!("the box is of another version: its status has {error}")))
}

fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn socket(arguments: &Arguments) -> Result<PathBuf, Failure> {
    let of_config = |config: Option<PathBuf>| {
        let given = config.is_some();
        match Loaded::load_without_secrets(config) {
            Ok(loaded) => Ok(PathBuf::from(loaded.config.http.socket)),
            // A default configuration that this user may not read, or that is being edited, is no reason to give up.
            Err(_) if !given => Ok(PathBuf::from(cuebox_core::config::Config::default().http.socket)),
            Err(error) => Err(Failure::Failed(error.to_string())),
        }
    };
    match (&arguments.socket, &arguments.config, std::env::var_os(SOCKET_VARIABLE)) {
        (Some(socket), ..) => Ok(socket.clone()),
        (None, Some(config), _) => of_config(Some(config.clone())),
        (None, None, Some(socket)) if !socket.is_empty() => Ok(PathBuf::from(socket)),
        (None, None, _) => of_config(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: Value) -> Reply {
        Reply { status: status.try_into().unwrap(), text: body.to_string(), body }
    }

    #[test]
    fn every_refusal_is_told_in_words() {
        let table = [
            (reply(409, json!({"id": "a", "result": "refused", "why": "slot 3 is empty"})), "refused: slot 3 is empty"),
            (
                reply(200, json!({"id": "a", "result": "duplicate", "first": "refused", "why": "slot 3 is empty"})),
                "refused before, with this id: slot 3 is empty",
            ),
            (reply(429, json!({"error": "too many commands"})), "too many commands"),
            (reply(500, Value::Null), "the box answered 500 Internal Server Error"),
        ];
        for (reply, text) in table {
            let outcome = print(reply, false, |_| Ok(String::new()));
            assert_eq!(outcome.unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn help_names_every_verb_once() {
        let help = usage();
        for usage in ["status", "watch", "shows [ID]", "cut SLOT", "audio gain SLOT DB", "restart"] {
            let rows = help.lines().filter(|line| line.trim_start().starts_with(&format!("{usage} "))).count();
            assert_eq!(rows, 1, "{usage}");
        }
    }
}
