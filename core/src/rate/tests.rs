use super::*;

const P720: PictureSize = PictureSize { width: 1280, height: 720, fps: 30 };
const P1080: PictureSize = PictureSize { width: 1920, height: 1080, fps: 30 };

fn limits(full: PictureSize) -> Limits {
    Limits { min_bps: 150_000, max_bps: 4_000_000, full, resizable: true }
}

fn ms(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

/// Lets the governor decide whatever is due up to a time.
fn run(governor: &mut Governor, now: &mut u64, until: u64) {
    while *now < until {
        *now += 10;
        if governor.deadline(ms(*now)).is_some_and(|at| at <= ms(*now)) {
            governor.decide(ms(*now));
        }
    }
}

fn shown(picture: PictureSize) -> String {
    format!("{}x{}@{}", picture.width, picture.height, picture.fps)
}

#[test]
fn sizes_step_down_by_what_a_pixel_needs() {
    for (full, max_bps, expected) in [
        (P1080, 4_000_000, "1920x1080@30:2000000 1280x720@30:888888 960x540@30:499999 640x360@30:296295 640x360@15:0"),
        (P720, 4_000_000, "1280x720@30:899942 960x540@30:506217 640x360@30:299980 640x360@15:0"),
        (
            PictureSize { fps: 60, ..P720 },
            6_000_000,
            "1280x720@60:1799884 1280x720@30:899942 960x540@30:506217 640x360@30:299980 640x360@15:0",
        ),
        (PictureSize { fps: 25, ..P720 }, 4_000_000, "1280x720@25:749952 960x540@25:421848 640x360@25:0"),
        (PictureSize { width: 640, height: 360, fps: 15 }, 1_000_000, "640x360@15:0"),
        (P1080, 1_000_000, "1920x1080@30:500000 1280x720@30:222222 960x540@30:124999 640x360@30:74073 640x360@15:0"),
    ] {
        let rungs = ladder::rungs(&Limits { max_bps, ..limits(full) });
        let table: Vec<_> = rungs.iter().map(|rung| format!("{}:{}", shown(rung.picture), rung.needs_bps)).collect();
        assert_eq!(table.join(" "), expected);
    }
    let fixed = Limits { resizable: false, ..limits(P1080) };
    assert_eq!(ladder::rungs(&fixed).len(), 1, "a recording shares it");
}

#[test]
fn it_starts_below_the_target_with_the_full_picture() {
    for (max_bps, start) in [(4_000_000, 2_800_000), (200_000, 150_000)] {
        let governor = Governor::new(Limits { max_bps, ..limits(P1080) });
        assert_eq!((governor.bitrate_bps(), governor.picture()), (start, P1080));
    }
}

#[test]
fn it_falls_at_once_and_rises_slowly() {
    let mut governor = Governor::new(limits(P720));
    let mut now = 1_000;
    governor.offer(ms(now), Some(1_000_000));
    assert_eq!(governor.bitrate_bps(), 1_000_000, "at once");
    governor.offer(ms(now + 100), Some(800_000));
    assert_eq!(governor.bitrate_bps(), 1_000_000, "not twice within 200 ms");
    run(&mut governor, &mut now, 1_250);
    assert_eq!(governor.bitrate_bps(), 800_000);
    governor.offer(ms(now), Some(790_000));
    assert_eq!(governor.bitrate_bps(), 800_000, "a tremor is let pass");
    governor.offer(ms(now), None);
    let mut rates = vec![governor.bitrate_bps()];
    for _ in 0..400 {
        let until = now + 100;
        run(&mut governor, &mut now, until);
        if rates.last() != Some(&governor.bitrate_bps()) {
            rates.push(governor.bitrate_bps());
        }
    }
    assert!(rates.windows(2).all(|pair| pair[1] > pair[0] && pair[1] <= pair[0] / 100 * 109), "{rates:?}");
    assert_eq!(rates.last(), Some(&4_000_000));
    assert!((18..26).contains(&rates.len()), "8 % a step: {}", rates.len());
    assert_eq!(governor.deadline(ms(now)), None, "nothing is left to be decided");
}

#[test]
fn it_never_leaves_its_limits() {
    let mut governor = Governor::new(limits(P720));
    governor.offer(ms(0), Some(0));
    assert_eq!(governor.bitrate_bps(), 150_000);
    let mut now = 0;
    governor.offer(ms(now), Some(u64::MAX));
    run(&mut governor, &mut now, 60_000);
    assert_eq!(governor.bitrate_bps(), 4_000_000);
    governor.offer(ms(now), Some(150_500));
    governor.offer(ms(now + 1_000), Some(150_000));
    assert_eq!(governor.bitrate_bps(), 150_000);
}

#[test]
fn a_small_moving_picture_is_preferred_to_a_large_blurred_one_and_comes_back_with_patience() {
    let mut governor = Governor::new(limits(P720));
    let mut now = 0;
    for (offered, picture) in
        [(920_000, "1280x720@30"), (800_000, "960x540@30"), (400_000, "640x360@30"), (200_000, "640x360@15")]
    {
        governor.offer(ms(now), Some(offered));
        let until = now + 300;
        run(&mut governor, &mut now, until);
        assert_eq!(shown(governor.picture()), picture, "{offered}");
    }
    governor.offer(ms(now), None);
    let mut seen = vec![];
    let begin = now;
    while now < begin + 40_000 {
        let until = now + 100;
        run(&mut governor, &mut now, until);
        let picture = shown(governor.picture());
        if seen.last().is_none_or(|(_, last)| *last != picture) {
            seen.push((now - begin, picture));
        }
    }
    let pictures: Vec<_> = seen.iter().map(|(_, picture)| picture.as_str()).collect();
    assert_eq!(pictures, ["640x360@15", "640x360@30", "960x540@30", "1280x720@30"]);
    assert!(seen.windows(2).skip(1).all(|pair| pair[1].0 - pair[0].0 >= 5_000), "{seen:?}");
    assert!(seen.last().is_some_and(|(at, _)| *at < 25_000), "{seen:?}");
}

#[test]
fn a_picture_that_grew_too_early_waits_longer_the_next_time() {
    let mut governor = Governor::new(limits(P720));
    let (mut now, mut waits) = (0, vec![]);
    for _ in 0..6 {
        governor.offer(ms(now), Some(800_000));
        let until = now + 1_500;
        run(&mut governor, &mut now, until);
        assert_eq!(governor.picture().height, 540);
        let begin = now;
        governor.offer(ms(now), Some(1_400_000));
        while governor.picture().height == 540 {
            let until = now + 100;
            run(&mut governor, &mut now, until);
        }
        waits.push((now - begin) / 1_000);
    }
    assert!(waits.windows(2).all(|pair| pair[1] > pair[0] || pair[1] >= 60), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= 65), "{waits:?}");
}

#[test]
fn an_encode_that_a_recording_shares_keeps_its_size() {
    let mut governor = Governor::new(Limits { resizable: false, ..limits(P1080) });
    governor.offer(ms(0), Some(160_000));
    assert_eq!((governor.bitrate_bps(), governor.picture()), (160_000, P1080));
}

#[test]
fn the_sound_gives_way_on_very_small_networks() {
    let mut step = SoundStep::Full;
    for (usable, bps) in [
        (1_000_000, 128_000),
        (700_000, 128_000),
        (690_000, 64_000),
        (800_000, 64_000),
        (880_000, 128_000),
        (315_000, 32_000),
        (400_000, 32_000),
        (440_000, 64_000),
        (0, 32_000),
        (2_000_000, 128_000),
    ] {
        step = step.follow(usable);
        assert_eq!(step.bps(128_000), bps, "{usable}");
    }
    assert_eq!(SoundStep::Less.bps(48_000), 48_000, "never more than configured");
}
