//! What a board can encode with: its board file, read and merged with what it inherits.
//!
//! A board file states only its difference. `inherit` names another board file; `encoders` (the order to try them in,
//! best first) replaces the inherited order, and each key of an `[encoder.NAME]` table replaces that one key. The files
//! are compiled in ([`BUILT_IN`]); reading the machine's device tree and probing encoders is the media shell's work.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::config::{Problem, walk};
use crate::device::Encoder;

use walk::{Item, Section, Walk, set};

/// Board files by name, in the order in which they are compared with a machine: a board before the family it is in.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("rpi4", include_str!("../../board/rpi4.toml")),
    ("rpi5", include_str!("../../board/rpi5.toml")),
    ("rk3588", include_str!("../../board/rk3588.toml")),
    ("imx8mp", include_str!("../../board/imx8mp.toml")),
    ("jetson-orin", include_str!("../../board/jetson-orin.toml")),
    ("intel-n100", include_str!("../../board/intel-n100.toml")),
    ("generic-x86", include_str!("../../board/generic-x86.toml")),
    ("generic", include_str!("../../board/generic.toml")),
];

/// A board that inherits deeper than this inherits itself.
const MAX_INHERIT: usize = 8;

/// Widest and highest picture, and most frames per second, that a limit may speak of.
const SIZES: std::ops::RangeInclusive<u32> = 1..=16_384;
const MAX_FPS: u64 = 1_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// The file's name without `.toml`.
    pub id: String,
    /// For people.
    pub name: String,
    pub matches: Matches,
    candidates: Vec<Encoder>,
}

/// How the board is recognised. Not inherited. Without any entry it fits every machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// One of these is in the device tree's root `compatible`.
    pub compatible: Vec<String>,
    /// One of these is part of the processor's model name.
    pub cpu: Vec<String>,
    /// The machine's architecture, as Rust names it.
    pub arch: Vec<String>,
}

/// What a shell read of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `/proc/device-tree/compatible`, split at its zeros; empty where there is none.
    pub compatible: Vec<String>,
    /// `model name` of `/proc/cpuinfo`; empty where there is none.
    pub cpu: String,
    /// `std::env::consts::ARCH`.
    pub arch: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoardError {
    #[error("there is no board file {0}.toml")]
    Unknown(String),
    #[error("board/{id}.toml: {}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid { id: String, problems: Vec<Problem> },
    #[error("board/{0}.toml inherits itself")]
    Circular(String),
}

impl Board {
    /// Reads a board with what it inherits; `text` gives a board file by its name.
    ///
    /// # Errors
    /// A file that is not there, is wrong (all its problems), or inherits itself.
    pub fn read(id: &str, text: &dyn Fn(&str) -> Option<String>) -> Result<Self, BoardError> {
        let mut chain = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next {
            if chain.len() >= MAX_INHERIT {
                return Err(BoardError::Circular(id));
            }
            let file = BoardFile::parse(&text(&id).ok_or_else(|| BoardError::Unknown(id.clone()))?)
                .map_err(|problems| BoardError::Invalid { id: id.clone(), problems })?;
            next = file.inherit.clone();
            chain.push(file);
        }
        Ok(merge(id, chain))
    }

    /// A board that is compiled in.
    ///
    /// # Errors
    /// As [`Board::read`].
    pub fn built_in(id: &str) -> Result<Self, BoardError> {
        Self::read(id, &|id| BUILT_IN.iter().find(|(name, _)| *name == id).map(|(_, text)| (*text).to_owned()))
    }

    /// The built-in board that this machine is; `generic` fits every machine.
    ///
    /// # Errors
    /// As [`Board::read`]; a test keeps the built-in files free of them.
    pub fn detect(machine: &Machine) -> Result<Self, BoardError> {
        for (id, _) in BUILT_IN {
            let board = Self::built_in(id)?;
            if board.matches.fit(machine) {
                return Ok(board);
            }
        }
        Self::built_in("generic")
    }

    /// Encoders that the board may have, best first.
    pub fn encoder_candidates(&self) -> &[Encoder] {
        &self.candidates
    }
}

impl Matches {
    fn fit(&self, machine: &Machine) -> bool {
        let none = self.compatible.is_empty() && self.cpu.is_empty() && self.arch.is_empty();
        none || self.compatible.iter().any(|name| machine.compatible.contains(name))
            || self.cpu.iter().any(|name| machine.cpu.contains(name.as_str()))
            || self.arch.contains(&machine.arch)
    }
}

/// One file, before it is merged with what it inherits.
#[derive(Default)]
struct BoardFile {
    name: Option<String>,
    inherit: Option<String>,
    matches: Matches,
    encoders: Option<Vec<String>>,
    limits: BTreeMap<String, Limits>,
}

/// Keys that a file states of one encoder.
#[derive(Clone, Default)]
struct Limits {
    hardware: Option<bool>,
    max_sessions: Option<u32>,
    max_size: Option<(u32, u32)>,
    max_pixels_per_s: Option<u64>,
    max_bitrate_bps: Option<u64>,
}

/// `chain` begins with the board itself and ends with the root of its family.
fn merge(id: &str, chain: Vec<BoardFile>) -> Board {
    let matches = chain.first().map(|file| file.matches.clone()).unwrap_or_default();
    let mut name = id.to_owned();
    let mut order = Vec::new();
    let mut limits: BTreeMap<String, Limits> = BTreeMap::new();
    for file in chain.into_iter().rev() {
        set(&mut name, file.name);
        set(&mut order, file.encoders);
        for (element, stated) in file.limits {
            let merged = limits.entry(element).or_default();
            merged.hardware = stated.hardware.or(merged.hardware);
            merged.max_sessions = stated.max_sessions.or(merged.max_sessions);
            merged.max_size = stated.max_size.or(merged.max_size);
            merged.max_pixels_per_s = stated.max_pixels_per_s.or(merged.max_pixels_per_s);
            merged.max_bitrate_bps = stated.max_bitrate_bps.or(merged.max_bitrate_bps);
        }
    }
    let candidate = |element: String| {
        let limits = limits.get(&element).cloned().unwrap_or_default();
        Encoder {
            hardware: limits.hardware.unwrap_or(false),
            max_sessions: limits.max_sessions,
            max_size: limits.max_size,
            max_pixels_per_s: limits.max_pixels_per_s,
            max_bitrate_bps: limits.max_bitrate_bps,
            element,
        }
    };
    Board { id: id.to_owned(), name, matches, candidates: order.into_iter().map(candidate).collect() }
}

impl BoardFile {
    fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let no_secrets = |_: &str| Err("a board file has no secrets".to_owned());
        let mut walk = Walk::new(text, "", &no_secrets);
        let tree = DeTable::parse(text).map_err(|error| {
            let line = walk.line_of(error.span().map_or(0, |span| span.start));
            vec![Problem { line, key: "syntax".to_owned(), what: error.message().to_owned(), allowed: None }]
        })?;
        let mut root = Section::new(String::new(), 1, tree.get_ref());
        let mut file = Self {
            name: root.read(&mut walk, "name", |walk, item| walk.name(item, 64)),
            inherit: root.read(&mut walk, "inherit", Walk::identifier),
            encoders: root.read(&mut walk, "encoders", |walk, item| Some(walk.names(item))),
            ..Self::default()
        };
        if let Some(mut section) = root.read(&mut walk, "match", Walk::table) {
            let mut read =
                |name| section.read(&mut walk, name, |walk, item| Some(walk.names(item))).unwrap_or_default();
            file.matches = Matches { compatible: read("compatible"), cpu: read("cpu"), arch: read("arch") };
            section.finish(&mut walk);
        }
        if let Some(section) = root.read(&mut walk, "encoder", Walk::table) {
            for (element, section) in section.into_tables(&mut walk) {
                let limits = read_limits(&mut walk, section);
                file.limits.insert(element, limits);
            }
        }
        root.finish(&mut walk);
        if walk.problems.is_empty() { Ok(file) } else { Err(walk.into_problems()) }
    }
}

fn read_limits(walk: &mut Walk<'_>, mut section: Section<'_>) -> Limits {
    let limits = Limits {
        hardware: section.read(walk, "hardware", Walk::boolean),
        max_sessions: section.read(walk, "max_sessions", |walk, item| walk.whole(item, 1..=1000, "")),
        max_size: section.read(walk, "max_size", read_size),
        max_pixels_per_s: section.read(walk, "throughput", read_throughput),
        max_bitrate_bps: section.read(walk, "max_bitrate", |walk, item| walk.bitrate(item, 100_000..=1_000_000_000)),
    };
    section.finish(walk);
    limits
}

fn read_size(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<(u32, u32)> {
    const ALLOWED: &str = "\"WIDTHxHEIGHT\"";
    let size = walk.text(item, ALLOWED).map(parse_size)?;
    if size.is_none() {
        walk.wrong(item, "is not a size", ALLOWED);
    }
    size
}

/// `2 * 1920x1080 @ 60`: how boards are advertised.
fn read_throughput(walk: &mut Walk<'_>, item: &Item<'_>) -> Option<u64> {
    const ALLOWED: &str = "\"WIDTHxHEIGHT @ FPS\", \"COUNT * WIDTHxHEIGHT @ FPS\"";
    let pixels_per_s = walk.text(item, ALLOWED).map(parse_throughput)?;
    if pixels_per_s.is_none() {
        walk.wrong(item, "is not a throughput", ALLOWED);
    }
    pixels_per_s
}

fn parse_size(text: &str) -> Option<(u32, u32)> {
    crate::config::units::parse_size(text).filter(|(width, height)| SIZES.contains(width) && SIZES.contains(height))
}

fn parse_throughput(text: &str) -> Option<u64> {
    let (count, rest) = match text.split_once('*') {
        Some((count, rest)) => (count.trim().parse::<u64>().ok().filter(|count| (1..=1_000).contains(count))?, rest),
        None => (1, text),
    };
    let (size, fps) = rest.split_once('@')?;
    let (width, height) = parse_size(size.trim())?;
    let fps = fps.trim().parse::<u64>().ok().filter(|fps| (1..=MAX_FPS).contains(fps))?;
    Some(count * u64::from(width) * u64::from(height) * fps)
}

#[cfg(test)]
mod tests;
