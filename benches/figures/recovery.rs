//! What a start after a crash takes on a disk that is full of recordings.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::meter::{median, wait};
use super::service::{config, cuebox, service};
use super::{row, scratch};

const ROUNDS: usize = 7;
/// Ten hours of six tracks in files of ten minutes, 200 GB in all.
const SEALED_OF_A_TRACK: u64 = 60;
const BYTES: u64 = 200_000_000_000 / (6 * (SEALED_OF_A_TRACK + 1));
const FRAMES: u64 = 10 * 60 * 30;

/// A data folder as a power cut leaves it.
struct Crashed {
    data: PathBuf,
    manifest: PathBuf,
    text: String,
    /// Files that were growing, with what was in them.
    torn: Vec<(PathBuf, Vec<u8>)>,
}

impl Crashed {
    fn make(folder: &Path) -> Self {
        let file = config(folder, 5, "640x360", "");
        let data = folder.join("data");
        let running = service(&file);
        wait(Duration::from_secs(10));
        drop(running);
        let show = fs::read_dir(data.join("shows")).unwrap().next().expect("a show").unwrap().path();
        let manifest = show.join("show.json");
        let mut told: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
        let growing = told["segments"].as_array().expect("segments").clone();
        assert_eq!(growing.len(), 6, "six tracks grow: {growing:?}");
        let mut torn = Vec::new();
        for entry in &growing {
            let track = entry["track"].as_str().unwrap();
            for number in 2..2 + SEALED_OF_A_TRACK {
                let name = format!("{track}/{number:04}.mp4");
                File::create(show.join(&name)).unwrap().set_len(BYTES).unwrap();
                told["segments"].as_array_mut().unwrap().push(json!({
                    "track": track, "number": number, "file": name, "first_frame": number * FRAMES, "frames": FRAMES,
                    "repeated": 0, "bytes": BYTES, "sealed": true, "clean": true, "sha256": "00", "stored": false,
                }));
            }
            let path = show.join(entry["file"].as_str().unwrap());
            torn.push((path.clone(), fs::read(path).unwrap()));
        }
        Self { data, manifest, text: told.to_string(), torn }
    }

    /// As it was before anybody recovered it. What grew is as long as the others, and its end was never written.
    fn restore(&self, index_lost: bool) {
        if index_lost {
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(self.data.join(format!("cuebox.db{suffix}")));
            }
            fs::write(&self.manifest, &self.text).unwrap();
        }
        for (path, content) in &self.torn {
            fs::write(path, content).unwrap();
            File::options().write(true).open(path).unwrap().set_len(BYTES).unwrap();
        }
    }

    /// Seconds from the start of a process until it tells the shows.
    fn recover(&self) -> f64 {
        let began = Instant::now();
        let told = Command::new(cuebox()).args(["shows", "--json", "--data-dir"]).arg(&self.data).output().unwrap();
        let took = began.elapsed().as_secs_f64();
        let shows: Value = serde_json::from_slice(&told.stdout).expect("the shows as JSON");
        assert_eq!(shows[0]["files"], 6 * (SEALED_OF_A_TRACK + 1), "{}", String::from_utf8_lossy(&told.stderr));
        for (path, _) in &self.torn {
            assert!(fs::metadata(path).unwrap().len() < BYTES, "{} was not cut where it is torn", path.display());
        }
        took
    }
}

pub fn time() {
    let crashed = Crashed::make(&scratch().join("recovery"));
    let measure = |index_lost: bool| {
        let times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                crashed.restore(index_lost);
                crashed.recover()
            })
            .collect();
        (median(&times), times.iter().copied().fold(0.0, f64::max))
    };
    let (lost, kept) = (measure(true), measure(false));
    row(
        "recovery after a crash: 200 GB (sparse) in 366 files, six of them torn",
        "≤ 1 s",
        &format!("{:.2} s (max {:.2}); index lost as well: {:.2} s (max {:.2})", kept.0, kept.1, lost.0, lost.1),
        "process start to the list of shows",
    );
}
