//! Servers and networks that go and come back: the fallback carries, the better leg returns by itself, and no recording
//! knows of it.

use std::time::Duration;

use super::harness::{CueBox, alone, five_cameras};
use super::marks;
use super::proxy::Proxy;
use super::seen::Arrival;
use super::servers::LIVEKIT_PORT;
use super::stage::{Stage, assert_recordings_whole, backup_leg, is, leg, livekit_leg, livekit_url, why};
use super::viewer::now_ms;

const ALL: &[&str] = &["program", "slot-1", "slot-2", "slot-3", "slot-4", "slot-5"];
const KILLS: usize = 5;
/// Viewers missed something; less is a busy machine's doing.
const MISSED_MS: f64 = 250.0;
/// Longer than between two pictures.
const TOLD_MS: f64 = 40.0;
/// Two to notice, three to carry.
const FALLS_BACK_MS: f64 = 5_000.0;

#[test]
fn killed_five_times_the_livekit_server_is_replaced_in_bound_and_returned_to_without_an_operator() {
    let _alone = alone();
    let mut stage = Stage::bare("fallback").with_livekit().with_rtmp();
    let cuebox = stage.start(&five_cameras(&(livekit_leg(&livekit_url(), "") + &backup_leg())));
    let viewer = stage.viewer();
    cuebox.wait_live(5);
    cuebox.wait("livekit carries", 30, |status| is(status, "livekit", "carrying"));
    viewer.wait_frames("program", 30, 20);
    let mut outages = Vec::new();
    for round in 0..KILLS {
        let before = nginx(&stage).recorded_bytes();
        let killed = now_ms();
        stage.livekit.as_mut().unwrap().kill();
        super::harness::until("the fallback's stream arrives", 20, || nginx(&stage).recorded_bytes() > before);
        let carried = now_ms();
        cuebox.wait("the fallback carries", 20, |status| is(status, "backup", "carrying"));
        assert!(carried - killed <= FALLS_BACK_MS, "round {round}: the fallback took {:.0} ms", carried - killed);
        restart_livekit(&mut stage);
        let back = viewer.wait_frames("program", 30, 90);
        // Each time it must prove itself longer than the time before.
        cuebox.wait("livekit carries again", 100, |status| {
            is(status, "livekit", "carrying") && !is(status, "backup", "carrying")
        });
        println!("round {round}: fallback after {:.0} ms, back after {:.0} ms", carried - killed, back - killed);
        outages.push((killed, back));
    }
    let seen = viewer.leave();
    let show = stage.end(cuebox);
    let recordings = nginx(&stage).recordings();
    let mut pushed: Vec<f64> = Vec::new();
    for file in &recordings {
        pushed.extend(marks::read(file, 640, 360).into_iter().flatten().map(|mark| f64::from(mark.pushed_ms)));
    }
    pushed.extend(
        seen.frames("program", 0.0, f64::MAX)
            .into_iter()
            .filter_map(|frame| frame.mark)
            .map(|mark| mark.pushed_ms as f64),
    );
    pushed.sort_by(f64::total_cmp);
    for (killed, back) in outages {
        let during: Vec<f64> =
            pushed.iter().copied().filter(|at| *at > killed - 1_000.0 && *at < back + 1_000.0).collect();
        let pauses = during.windows(2).map(|pair| (pair[0] - killed, pair[1] - pair[0]));
        let told: Vec<_> = pauses.clone().filter(|(_, gap)| *gap > TOLD_MS).collect();
        println!("back after {:.0} ms; pauses from the kill on, where and how long: {told:.0?} ms", back - killed);
        let gaps: Vec<f64> = pauses.map(|(_, gap)| gap).filter(|gap| *gap > MISSED_MS).collect();
        // One gap, from the kill to the fallback's first picture; none on the way back.
        assert!(gaps.len() <= 1, "viewers of either server missed the program more than once: {gaps:.0?} ms");
        assert!(gaps.iter().all(|gap| *gap <= FALLS_BACK_MS), "{gaps:.0?} ms without a program");
    }
    assert_recordings_whole(&show, ALL, 640, 360);
}

fn nginx(stage: &Stage) -> &super::servers::Nginx {
    stage.nginx.as_ref().unwrap()
}

#[track_caller]
fn restart_livekit(stage: &mut Stage) {
    let Stage { livekit, lab, .. } = stage;
    livekit.as_mut().unwrap().restart(lab);
}

#[test]
fn a_lost_signal_socket_is_taken_up_again_while_the_media_flows() {
    let _alone = alone();
    let stage = Stage::bare("signal").with_livekit();
    let mut proxy = Proxy::start(&stage.lab, 7890, LIVEKIT_PORT);
    let legs = livekit_leg(&format!("ws://{}", proxy.address()), "") + "[record]\nslots = false\n";
    let cuebox = stage.start(&five_cameras(&legs));
    let viewer = stage.viewer();
    cuebox.wait("the leg carries", 30, |status| is(status, "livekit", "carrying"));
    viewer.wait_frames("program", 60, 20);
    let begun = now_ms();
    for (fault, lasts_ms) in [(&["drop"][..], 6_000.0), (&["refuse", "drop"], 4_000.0), (&["drop"], 6_000.0)] {
        let from = now_ms();
        for order in fault {
            proxy.order(order);
        }
        viewer.watch_until(from + lasts_ms);
        proxy.order("pass");
    }
    let to = now_ms();
    viewer.watch_until(to + 6_000.0);
    let to = to + 6_000.0;
    let seen = viewer.seen().clone();
    let frames = seen.frames("program", begun, to);
    let arrival = Arrival::of(&frames);
    println!("{arrival:?}, longest stall {:.0} ms", seen.longest_stall("program", begun, to));
    // A session that is made anew stands for a second and more; a busy machine loses a few frames of one.
    for second in frames.chunks(30).filter(|chunk| chunk.len() == 30) {
        let arrival = Arrival::of(second);
        assert!(arrival.came + 6 >= arrival.expected, "{arrival:?} of a second's frames");
    }
    assert!(arrival.share() >= 0.97, "{arrival:?}");
    assert!(seen.longest_stall("program", begun, to) < 700.0);
    let gone = ["went", "unpublished"].iter().flat_map(|kind| seen.events(kind)).count();
    assert_eq!(gone, 0, "the participant stayed in the room: {:#?}", seen.events);
    // The new socket speaks: the camera's message is the signal's companion, mute and counts come by it.
    stage.host(&["mute", super::stage::ROOM, super::stage::IDENTITY, "program", "true", "audio"]);
    viewer.wait("the host's mute arrives", 10, |seen| seen.events("muted").first().map(|_| ()));
    cuebox.wait("the box knows of the mute", 10, |status| status.to_string().to_lowercase().contains("mute"));
    drop(viewer);
    stage.end(cuebox);
}

#[test]
fn a_minute_without_any_network_costs_no_memory_and_both_legs_find_their_way_back() {
    let _alone = alone();
    let mut stage = Stage::bare("gone").with_livekit().with_rtmp();
    let cuebox = stage.start(&five_cameras(&(livekit_leg(&livekit_url(), "") + &backup_leg())));
    let viewer = stage.viewer();
    cuebox.wait_live(5);
    cuebox.wait("livekit carries", 30, |status| is(status, "livekit", "carrying"));
    viewer.wait_frames("program", 90, 20);
    let before = resident_mb(&cuebox);
    let cut = now_ms();
    stage.lab.cut();
    let status = cuebox.wait("neither leg carries", 20, |status| {
        !is(status, "livekit", "carrying") && !is(status, "backup", "carrying") && !why(status, "livekit").is_empty()
    });
    println!("{:.1} s after the cut: {}", (now_ms() - cut) / 1e3, leg(&status, "livekit"));
    wait_until(&cuebox, cut + 60_000.0);
    stage.lab.join();
    let joined = now_ms();
    let back = viewer.wait_frames("program", 30, 60);
    cuebox.wait("livekit carries again", 60, |status| {
        is(status, "livekit", "carrying") && is(status, "backup", "standby")
    });
    let after = resident_mb(&cuebox);
    println!("picture {:.1} s after the network; {before} MB before, {after} MB after", (back - joined) / 1e3);
    assert!(after <= before + 20, "{before} MB before, {after} MB after");
    drop(viewer);
    let show = stage.end(cuebox);
    assert_recordings_whole(&show, ALL, 640, 360);
}

/// Until then the box must answer all the time.
#[track_caller]
fn wait_until(cuebox: &CueBox, t: f64) {
    let seconds = Duration::from_secs_f64((t - now_ms()).max(0.0) / 1e3).as_secs() + 15;
    cuebox.wait("the outage has lasted", seconds, |_| now_ms() >= t);
}

fn resident_mb(cuebox: &CueBox) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cuebox.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}
