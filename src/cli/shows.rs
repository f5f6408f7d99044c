//! `cuebox shows`: the shows of a data folder, whether a box runs there or not.

use std::io::{self, Write as _};
use std::path::PathBuf;

use serde_json::Value;

use crate::app::shows::Shows;

use super::config_file::Loaded;
use super::ctl::shows as tables;
use super::{ConfigArgument, Failure};

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// The folder that `data_dir` names, for a disk that is not this box's
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// One JSON value
    #[arg(long)]
    json: bool,
    /// A show's id: that show with its files and its timeline. `delete ID` removes it, for good
    #[arg(value_name = "ID | delete ID", num_args = 0..=2)]
    words: Vec<String>,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments { config, data_dir, json, words } = arguments;
    let (data_dir, box_id) = match data_dir {
        Some(data_dir) => (data_dir, String::new()),
        None => {
            let loaded = Loaded::load_without_secrets(config.config);
            let config = loaded.map_err(|error| Failure::Failed(error.to_string()))?.config;
            (PathBuf::from(config.data_dir), config.box_id)
        }
    };
    let mut shows = Shows::open(&data_dir, &box_id).map_err(Failure::Failed)?;
    for note in &shows.mended {
        writeln!(io::stderr(), "{note}")?;
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => tell(&shows.list().map_err(Failure::Failed)?, json, tables::list),
        ["delete", id] => {
            shows.delete(id).map_err(Failure::Failed)?;
            tell(&Value::from("done"), json, |_| "done\n".to_owned())
        }
        [id] => match shows.show(id).map_err(Failure::Failed)? {
            Some(show) => tell(&show, json, tables::one),
            None => Err(Failure::Failed(format!("there is no show {id}"))),
        },
        [word, ..] => Err(Failure::Usage(format!("`{word}` is not `delete`"))),
    }
}

fn tell(value: &Value, json: bool, words: impl FnOnce(&Value) -> String) -> Result<(), Failure> {
    let text = if json { format!("{value}\n") } else { words(value) };
    Ok(io::stdout().write_all(text.as_bytes())?)
}
