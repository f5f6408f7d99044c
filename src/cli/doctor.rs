//! `cuebox doctor`: everything that is wrong or risky on this machine, each with its remedy.

use std::io::{self, Write as _};
use std::path::PathBuf;

use cuebox_core::config::Config;
use cuebox_core::doctor::{Finding, Level};

use crate::app::doctor;

use super::Failure;
use super::config_file::Loaded;

pub(super) fn run(config: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let (config, problem) = match Loaded::load(config) {
        Ok(loaded) => (loaded.config, None),
        Err(error) => (Config::default(), Some(error.to_string())),
    };
    let findings = doctor::examine(&config, problem);
    if json {
        writeln!(io::stdout(), "{:#}", doctor::to_json(&findings))?;
    } else {
        io::stdout().write_all(findings.iter().map(line).collect::<String>().as_bytes())?;
    }
    if findings.iter().any(|finding| finding.level == Level::Wrong) { Err(Failure::Told) } else { Ok(()) }
}

fn line(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok   ",
        Level::Risk => "RISK ",
        Level::Wrong => "WRONG",
    };
    let remedy = finding.remedy.as_ref().map(|remedy| format!("        → {remedy}\n")).unwrap_or_default();
    format!("{level}  {}\n{remedy}", finding.text)
}
