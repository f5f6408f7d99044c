//! From a configuration's file to a checked configuration: reads the file and the secrets that it names.
//!
//! A secret's file that lies beside the configuration may be given as a systemd credential of that name instead, and
//! then the credential counts.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cuebox_core::config::patch::{self, Patch};
use cuebox_core::config::{self, Checked, Config, Problem};
use serde_json::{Map, Value};

use super::overrides::Overrides;

pub const DEFAULT_PATH: &str = "/etc/cuebox/cuebox.toml";

/// No configuration is longer; what is, is another file.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// Stands for a secret that is not read; of a length that every kind of secret may have.
const STAND_IN: &str = "not-read-not-read";

/// A configuration with where it came from, so that it can be read again.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// `None`: the built-in defaults.
    pub path: Option<PathBuf>,
    warnings: Vec<Problem>,
}

/// Why there is no configuration. Shown, it is one line or, for problems, one line each.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{}: there is no such file", path.display())]
    Missing { path: PathBuf },
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: longer than a configuration can be ({MAX_CONFIG_BYTES} bytes)", path.display())]
    TooLong { path: PathBuf },
    #[error("{}:{line}: file: holds bytes that are no text (allowed: UTF-8)", path.display())]
    NotText { path: PathBuf, line: usize },
    #[error("{}", lines(path, problems))]
    Problems { path: PathBuf, problems: Vec<Problem> },
}

impl Loaded {
    /// Reads `path`; without one the default file, or when that is not there the built-in defaults.
    ///
    /// # Errors
    /// See [`LoadError`]: all of the file's problems at once.
    pub fn load(path: Option<PathBuf>) -> Result<Self, LoadError> {
        Self::load_with(path, read_secret)
    }

    /// As [`Loaded::load`], for whoever needs no secret and may not be allowed to read any.
    ///
    /// # Errors
    /// As [`Loaded::load`].
    pub fn load_without_secrets(path: Option<PathBuf>) -> Result<Self, LoadError> {
        Self::load_with(path, |_, _| Ok(STAND_IN.to_owned()))
    }

    /// Reads the same file again.
    ///
    /// # Errors
    /// As [`Loaded::load`].
    pub fn reload(&self) -> Result<Self, LoadError> {
        Self::load(self.path.clone())
    }

    /// The same configuration with a patch on it, kept for the next start; with `check` nothing is kept.
    ///
    /// # Errors
    /// Every problem of it, each with its key, or why it cannot be kept. What was before stays.
    pub fn patch(&self, patch: &Patch, check: bool) -> Result<Config, String> {
        let file = self.reload_file().map_err(|error| error.to_string())?;
        let overrides = Overrides::of(&file.config);
        let tree = patch.apply(overrides.read().map_err(|error| error.to_string())?);
        let config = laid_over(&file.text, &tree, &file.folder, &read_secret)?;
        if !check {
            overrides.write(&tree).map_err(|error| error.to_string())?;
        }
        Ok(config)
    }

    fn reload_file(&self) -> Result<FromFile, LoadError> {
        FromFile::read(self.path.clone(), self.path.is_some(), &read_secret)
    }

    /// What works and may be regretted: `FILE:LINE: key: what`.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let path = self.path.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
        self.warnings.iter().map(move |warning| format!("{}:{warning}", path.display()))
    }

    fn load_with(
        path: Option<PathBuf>,
        secret: impl Fn(&Path, &str) -> Result<String, String>,
    ) -> Result<Self, LoadError> {
        let given = path.is_some();
        let FromFile { mut config, text, path, folder, warnings } = FromFile::read(path, given, &secret)?;
        let overrides = Overrides::of(&config);
        match overrides.read() {
            Ok(tree) if tree.is_empty() => {}
            Ok(tree) => match laid_over(&text, &tree, &folder, &secret) {
                Ok(changed) => config = changed,
                Err(why) => tracing::warn!("{} is left out: {why}", overrides.path().display()),
            },
            Err(error) => tracing::warn!("{error}: it is left out"),
        }
        Ok(Self { config, path, warnings })
    }
}

/// How a secret is read: folder of the configuration, path of the secret.
type ReadSecret<'a> = &'a dyn Fn(&Path, &str) -> Result<String, String>;

/// What the file alone says.
struct FromFile {
    config: Config,
    /// Nothing, for the built-in defaults.
    text: String,
    path: Option<PathBuf>,
    folder: PathBuf,
    warnings: Vec<Problem>,
}

impl FromFile {
    fn read(path: Option<PathBuf>, given: bool, secret: ReadSecret<'_>) -> Result<Self, LoadError> {
        let path = path.unwrap_or_else(|| PathBuf::from(DEFAULT_PATH));
        let folder = std::path::absolute(&path).ok().and_then(|path| path.parent().map(Path::to_owned));
        let folder = folder.unwrap_or_else(|| PathBuf::from("."));
        let text = match read_config(&path) {
            Err(LoadError::Missing { .. }) if !given => {
                let (config, warnings) = (Config::default(), Vec::new());
                return Ok(Self { config, text: String::new(), path: None, folder, warnings });
            }
            text => text?,
        };
        match config::parse(&text, &folder.to_string_lossy(), &|path| secret(&folder, path)) {
            Ok(Checked { config, warnings }) => Ok(Self { config, text, path: Some(path), folder, warnings }),
            Err(problems) => Err(LoadError::Problems { path, problems }),
        }
    }
}

/// The file's text with overrides on it. An error names keys; lines would be those of no file.
fn laid_over(text: &str, tree: &Map<String, Value>, folder: &Path, secret: ReadSecret<'_>) -> Result<Config, String> {
    let file = patch::table(text).map_err(|error| error.to_string())?;
    let merged = patch::to_toml(&patch::merged(file, tree));
    let checked = config::parse(&merged, &folder.to_string_lossy(), &|path| secret(folder, path));
    let line = |problem: Problem| {
        let allowed = problem.allowed.map(|allowed| format!(" (allowed: {allowed})")).unwrap_or_default();
        format!("{}: {}{allowed}", problem.key, problem.what)
    };
    checked
        .map(|checked| checked.config)
        .map_err(|problems| problems.into_iter().map(line).collect::<Vec<_>>().join("; "))
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}:{problem}", path.display());
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn read_config(path: &Path) -> Result<String, LoadError> {
    let fail = |source: io::Error| {
        let path = path.to_owned();
        let missing = source.kind() == io::ErrorKind::NotFound;
        if missing { LoadError::Missing { path } } else { LoadError::Unreadable { path, source } }
    };
    let bytes = read_at_most(path, MAX_CONFIG_BYTES).map_err(fail)?;
    let Some(bytes) = bytes else { return Err(LoadError::TooLong { path: path.to_owned() }) };
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        LoadError::NotText { path: path.to_owned(), line }
    })
}

/// The secret's text without the line's end that editors add. An error says why in plain words.
fn read_secret(folder: &Path, path: &str) -> Result<String, String> {
    let path = Path::new(path);
    let credential = credential(folder, path, std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
    let path = credential.as_deref().unwrap_or(path);
    let bytes = match read_at_most(path, MAX_SECRET_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(format!("{} is longer than a secret can be ({MAX_SECRET_BYTES} bytes)", path.display()));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(format!("there is no file {}", path.display()));
        }
        Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
    };
    let text = String::from_utf8(bytes).map_err(|_| format!("{} holds bytes that are no text", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text.to_owned()) }
}

/// The credential that stands for a secret's file, if there is one.
fn credential(folder: &Path, path: &Path, credentials: Option<PathBuf>) -> Option<PathBuf> {
    let name = path.file_name().filter(|_| path.parent() == Some(folder))?;
    Some(credentials?.join(name)).filter(|credential| credential.is_file())
}

/// `None`: the file is longer.
fn read_at_most(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= max).then_some(bytes))
}

#[cfg(test)]
mod tests;
