//! Hours of a show in half an hour: cuts without a pause, and a server that is killed whenever it serves again, which is
//! a camera's source and the program's destination at once. What a process holds (memory, file descriptors, threads) may
//! not grow with what happened to it. `make soak`; not one of the figures of `make bench`, because it takes so long.
//!
//! It is read whenever all is well: source live, destination carrying, everything recorded. One such moment is not like
//! another, because pictures and commands are on their way; so what counts is the least that was held in the first fifth
//! of all readings after the warm-up and in the last fifth. The run fails when that has grown by more than it may. Of the
//! memory that is what the process has of its own: the pages of its program and libraries are the kernel's to drop and to
//! read again, and came and went by 15 MB.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{CueBox, Folder, pause, until};
use super::meter::{own_mb, rss_mb};
use super::outside::{Outside, marked_clip};

const CUTS: usize = 5_000;
const LOSSES: usize = 300;
/// Everything was built and taken down some times by then, and memory is what it will be.
const WARM_UP: Duration = Duration::from_secs(60);
/// Between two cuts.
const PACE: Duration = Duration::from_millis(250);
/// How long source and destination last after both have come back.
const WELL: Duration = Duration::from_millis(700);
/// Memory of its own may grow by so much, and files not at all.
const GROWTH_MB: f64 = 5.0;
/// Libraries keep a thread or two for what comes next, and end them when nothing does.
const SPARE_THREADS: usize = 2;
/// Readings that the least is taken of, at the least.
const FEWEST: usize = 10;

/// What a process holds.
#[derive(Clone, Copy)]
struct Held {
    rss_mb: f64,
    own_mb: f64,
    files: usize,
    threads: usize,
}

impl Held {
    fn of(pid: u32) -> Self {
        let entries = |name: &str| std::fs::read_dir(format!("/proc/{pid}/{name}")).map_or(0, Iterator::count);
        Self { rss_mb: rss_mb(pid), own_mb: own_mb(pid), files: entries("fd"), threads: entries("task") }
    }
}

/// Until so much has happened, or for so many minutes.
pub fn run(minutes: &str) {
    let limit = Duration::from_secs_f64(minutes.parse::<f64>().expect("minutes") * 60.0);
    let folder = Folder::new("soak");
    let mut outside = Outside::start(folder.path(), marked_clip(&folder.path().join("clip")));
    let mut config = String::from("[program]\nsize = \"640x360\"\nfps = 30\nstart_slot = 1\nauto_return = \"off\"\n");
    for number in 1..=4 {
        config += &format!("[[slot]]\nnumber = {number}\nsource = {{ kind = \"test\", marks = true }}\n");
    }
    config += &format!("[[slot]]\nnumber = 5\nsource = {{ kind = \"network\", url = \"{}\" }}\n", outside.camera());
    config += &format!(
        "[[leg]]\nname = \"air\"\nkind = \"rtmp\"\nuplink = 1\nurl = \"{}\"\nstream_key = \"air\"\n",
        outside.url()
    );
    let cuebox = CueBox::start(&folder, &(config + "[record]\nsegment_minutes = 1\n"));
    let pid = cuebox.pid();
    let begun = Instant::now();
    let (mut cuts, mut losses) = (0, 0);
    let (mut next, mut well_since): (Instant, Option<Instant>) = (begun, None);
    let (mut readings, mut told) = (Vec::new(), 0);
    while begun.elapsed() < limit && (cuts < CUTS || losses < LOSSES) {
        let status = cuebox.status().expect("the box answers");
        well_since = if is_well(&status) { well_since.or_else(|| Some(Instant::now())) } else { None };
        if well_since.is_some_and(|since| since.elapsed() >= WELL) {
            if begun.elapsed() >= WARM_UP {
                readings.push(Held::of(pid));
            }
            losses += 1;
            well_since = None;
            outside.kill();
            until("both losses are seen", 30, || cuebox.status().is_some_and(|status| is_lost(&status)));
            outside.come_back(&cuebox);
            cuebox.done(&["leg", "reconnect", "air"]);
        }
        if Instant::now() >= next {
            next = Instant::now() + PACE;
            cuts += 1;
            // Slot 5 is not always there to be cut to.
            let _ = cuebox.ctl(&["cut", &(1 + cuts % 5).to_string()]);
        }
        let minute = begun.elapsed().as_secs() / 60;
        if minute > told {
            told = minute;
            let Held { rss_mb, own_mb, files, threads } = Held::of(pid);
            eprintln!(
                "minute {minute}: {cuts} cuts, {losses} losses; {own_mb:.1} MB of its own, {rss_mb:.1} with pages of \
                 files, {files} descriptors, {threads} threads"
            );
        }
        outside.keep_pushing();
        pause();
    }
    cuebox.stop();
    drop(outside);
    drop(folder);
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    if !judge(&readings, &format!("soak of {minutes:.0} min: {cuts} cuts, {losses} losses of a source and of a leg")) {
        std::process::exit(1);
    }
}

/// Prints what was held, and whether that grew by no more than it may.
fn judge(readings: &[Held], title: &str) -> bool {
    let fifth = readings.len() / 5;
    assert!(
        fifth >= FEWEST,
        "{} readings are too few to tell growth from chance: let it run for longer",
        readings.len()
    );
    let [first, last] =
        [&readings[..fifth], &readings[readings.len() - fifth..]].map(|them| pick(them, f64::min, usize::min));
    let most = pick(readings, f64::max, usize::max);
    let growth = last.own_mb - first.own_mb;
    println!("| {title} | least in the first {fifth} readings | least in the last {fifth} | most |");
    println!("|---|---|---|---|");
    println!(
        "| resident memory of its own, MB (growth {growth:+.1}) | {:.1} | {:.1} | {:.1} |",
        first.own_mb, last.own_mb, most.own_mb
    );
    println!("| the same with pages of files, MB | {:.1} | {:.1} | {:.1} |", first.rss_mb, last.rss_mb, most.rss_mb);
    println!("| file descriptors | {} | {} | {} |", first.files, last.files, most.files);
    println!("| threads | {} | {} | {} |", first.threads, last.threads, most.threads);
    let grown = [
        (growth > GROWTH_MB).then(|| format!("memory by {growth:.1} MB, and may by {GROWTH_MB}")),
        grown("file descriptors", first.files, last.files, 0),
        grown("threads", first.threads, last.threads, SPARE_THREADS),
    ];
    let grown: Vec<String> = grown.into_iter().flatten().collect();
    grown.iter().for_each(|what| eprintln!("FAILED: what the box holds has grown: {what}"));
    grown.is_empty()
}

fn grown(what: &str, first: usize, last: usize, may: usize) -> Option<String> {
    (last > first + may).then(|| format!("{what} from {first} to {last}, and may by {may}"))
}

/// Of each figure the one that is picked among all readings.
fn pick(readings: &[Held], mb: impl Fn(f64, f64) -> f64, count: impl Fn(usize, usize) -> usize) -> Held {
    let both = |a: Held, b: &Held| Held {
        rss_mb: mb(a.rss_mb, b.rss_mb),
        own_mb: mb(a.own_mb, b.own_mb),
        files: count(a.files, b.files),
        threads: count(a.threads, b.threads),
    };
    readings.iter().copied().reduce(|a, b| both(a, &b)).expect("there are readings")
}

/// Neither is there any more.
fn is_lost(status: &Value) -> bool {
    status["slots"][4]["state"] != "live" && status["legs"][0]["state"] != "carrying"
}

/// The source delivers, the destination takes, and all of it is recorded.
fn is_well(status: &Value) -> bool {
    status["slots"][4]["state"] == "live"
        && status["legs"][0]["state"] == "carrying"
        && status["recording"]["state"] == "recording"
}
