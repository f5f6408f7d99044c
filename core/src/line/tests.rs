use super::simulated::{Line, mean, sizes, swing, told, until};
use super::*;
use crate::rate::SoundStep;

const TARGET: u64 = 2_500_000;

#[test]
fn a_wide_line_is_believed_and_filled_in_seconds() {
    let mut line = Line::new(20_000_000, 200, TARGET);
    let seen = line.run(20);
    assert!(until(&seen, |it| it.bitrate_bps >= TARGET / 10 * 8).unwrap() < Duration::from_secs(5), "{}", told(&seen));
    assert_eq!(line.governor.bitrate_bps(), TARGET);
    assert_eq!((line.dropped, sizes(&seen)), (0, 1));
}

#[test]
fn a_cap_is_followed_used_and_left_again() {
    let mut line = Line::new(20_000_000, 200, TARGET);
    line.run(20);
    line.capacity_bps = 1_000_000;
    line.depth_ms = 240;
    let seen = line.run(30);
    assert!(until(&seen, |it| it.bitrate_bps <= 1_000_000).unwrap() < Duration::from_millis(700), "{}", told(&seen));
    let used = mean(&seen[150..], |it| it.line_bps);
    assert!(used >= 750_000, "{used}\n{}", told(&seen));
    assert!(seen[15..].iter().all(|it| it.waits_ms < 200), "{}", told(&seen));
    line.capacity_bps = 20_000_000;
    let seen = line.run(30);
    let back = until(&seen, |it| it.bitrate_bps >= TARGET / 10 * 8).unwrap();
    assert!(back < Duration::from_secs(20), "{back:?}\n{}", told(&seen));
    assert!(sizes(&seen) <= 3, "{}", told(&seen));
}

#[test]
fn of_next_to_nothing_sound_gets_its_part_first() {
    let mut line = Line::new(20_000_000, 200, TARGET);
    line.run(20);
    line.capacity_bps = 350_000;
    line.depth_ms = 340;
    let seen = line.run(30);
    let followed = until(&seen, |it| it.bitrate_bps <= 350_000).unwrap();
    assert!(followed < Duration::from_millis(800), "{followed:?}\n{}", told(&seen));
    assert_eq!(line.run(1)[0].sound, SoundStep::Least);
    assert!(mean(&seen[50..], |it| it.line_bps) >= 240_000, "{}", told(&seen));
}

#[test]
fn on_steady_lines_the_rate_settles() {
    for capacity in [350_000, 700_000, 1_000_000, 1_500_000, 2_500_000, 8_000_000] {
        let mut line = Line::new(capacity, 300, 4_000_000);
        line.run(60);
        line.dropped = 0;
        let seen = line.run(120);
        let used = mean(&seen, |it| it.line_bps);
        assert!(used >= capacity.min(4_100_000) / 100 * 70, "{capacity}: {used}\n{}", told(&seen));
        assert!(swing(&seen) <= 50, "{capacity}: swings by {} %\n{}", swing(&seen), told(&seen));
        assert!(sizes(&seen) <= 3, "{capacity}: {}\n{}", sizes(&seen), told(&seen));
        assert_eq!(line.dropped, 0, "{capacity}\n{}", told(&seen));
    }
}

#[test]
fn a_way_that_becomes_longer_is_not_taken_for_a_queue() {
    let mut line = Line::new(20_000_000, 200, TARGET);
    line.run(20);
    for delay_ms in [50, 150, 5] {
        line.delay_ms = delay_ms;
        let seen = line.run(20);
        let believed = until(&seen[10..], |it| it.estimate_bps >= TARGET).unwrap();
        assert!(believed < Duration::from_secs(1), "{delay_ms}: {believed:?}\n{}", told(&seen));
        assert!(mean(&seen[150..], |it| it.bitrate_bps) > TARGET / 10 * 8, "{delay_ms}\n{}", told(&seen));
    }
}

#[test]
fn loss_that_is_not_congestion_is_borne_and_heavy_loss_is_not() {
    for (loss, least, most) in [(50, 2_300_000, TARGET), (300, 150_000, 1_500_000)] {
        let mut line = Line::new(20_000_000, 200, TARGET);
        line.run(20);
        (line.loss, line.delay_ms) = (loss, 50);
        let seen = line.run(40);
        assert!((least..=most).contains(&line.governor.bitrate_bps()), "{loss}\n{}", told(&seen));
    }
}

#[test]
fn a_deep_queue_is_not_filled_for_long() {
    let mut line = Line::new(20_000_000, 5_000, TARGET);
    line.run(20);
    line.capacity_bps = 1_000_000;
    let seen = line.run(10);
    assert!(line.longest_wait_ms < 1_000, "{} ms\n{}", line.longest_wait_ms, told(&seen));
    line.longest_wait_ms = 0;
    let seen = line.run(60);
    assert!(line.longest_wait_ms < 200, "{} ms\n{}", line.longest_wait_ms, told(&seen));
}

#[test]
fn a_picture_without_motion_raises_nothing_beyond_what_was_tried() {
    let mut line = Line::new(20_000_000, 200, TARGET);
    line.run(20);
    line.capacity_bps = 1_000_000;
    line.run(10);
    line.effort = 10;
    line.capacity_bps = 20_000_000;
    line.run(60);
    let tried = line.estimator.estimate_bps();
    assert!((800_000..1_800_000).contains(&tried), "{tried}");
}

#[test]
fn a_server_that_says_nothing_for_a_moment_is_forgiven_when_all_had_arrived() {
    let mut estimator = Estimator::new(3_000_000);
    let mut sent = Vec::new();
    for ms in 0..500_u64 {
        let now = Mono(ms * 1_000_000);
        if ms.is_multiple_of(4) {
            estimator.sent(now);
            sent.push(Report { sent: now, bytes: 1_200, arrived_ns: Some((ms + 5) * 1_000_000) });
        }
        if ms == 100 {
            estimator.reported(now, &sent);
            sent.clear();
        }
        estimator.look(now);
    }
    assert!(estimator.estimate_bps() <= 1_500_000, "{}", estimator.estimate_bps());
    estimator.reported(Mono(501_000_000), &sent);
    assert!(estimator.estimate_bps() >= 3_000_000, "{}", estimator.estimate_bps());
}
