use super::*;

const FPS: u32 = 30;

/// A deterministic stand-in for chance: −1..1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 30) - 1.0
    }
}

/// A simulated camera.
#[derive(Clone, Copy)]
struct Camera {
    fps: f64,
    /// In frames of the grid.
    phase: f64,
    jitter_ms: f64,
    drift_ppm: f64,
}

impl Camera {
    fn new(fps: f64) -> Self {
        Self { fps, phase: 0.0, jitter_ms: 0.0, drift_ppm: 0.0 }
    }

    /// When picture `n` is taken, in ns.
    fn at(&self, n: u64, noise: &mut Noise) -> Mono {
        let second = 1e9 * (1.0 + self.drift_ppm / 1e6);
        let start = 100e9 + self.phase * 1e9 / f64::from(FPS);
        Mono((start + n as f64 * second / self.fps + noise.next() * self.jitter_ms * 1e6) as u64)
    }
}

/// What came out of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Which picture each frame shows, from the first on.
    frames: Vec<Option<u64>>,
    dropped: u64,
    lost: u64,
}

impl Seen {
    fn gaps(&self) -> usize {
        self.frames.iter().filter(|frame| frame.is_none()).count()
    }

    fn repeated(&self) -> usize {
        self.frames.windows(2).filter(|pair| pair[0].is_some() && pair[0] == pair[1]).count()
    }
}

/// Runs pictures (number, time) through a retimer, and checks that indexes only grow and that no picture is far from
/// its frame.
fn run(pictures: impl Iterator<Item = (u64, Mono)>) -> Seen {
    let grid = Grid::new(FPS);
    let mut retimer = Retimer::new(grid);
    let mut seen = Seen::default();
    let mut first = None;
    let mut previous = None;
    for (number, at) in pictures {
        match retimer.place(at) {
            Placement::Drop => seen.dropped += 1,
            Placement::Show(show) => {
                let origin = *first.get_or_insert(show.index.0);
                let from = usize::try_from(show.index.0 - show.before - origin).unwrap();
                assert!(from >= seen.frames.len(), "frames are given away once");
                seen.frames.resize(from, None);
                seen.frames.extend((0..show.before).map(|_| previous));
                seen.frames.extend((0..=show.after).map(|_| Some(number)));
                seen.lost += show.lost;
                let off = (at.0 as f64 - grid.time_of(show.index).0 as f64) * f64::from(FPS) / 1e9;
                assert!(off.abs() < 2.0, "picture {number} lies {off} frames from its frame");
                previous = Some(number);
            }
        }
    }
    seen
}

fn film(camera: Camera, pictures: u64, seed: u64) -> Seen {
    let mut noise = Noise(seed);
    run((0..pictures).map(move |n| (n, camera.at(n, &mut noise))))
}

#[test]
fn a_steady_camera_is_neither_doubled_nor_dropped_at_any_phase_and_jitter() {
    for step in 0..40 {
        for jitter_ms in [0.0, 2.0, 8.0] {
            let camera = Camera { phase: f64::from(step) / 40.0, jitter_ms, ..Camera::new(30.0) };
            let seen = film(camera, 900, step as u64 + 7);
            assert_eq!((seen.dropped, seen.lost, seen.gaps(), seen.repeated()), (0, 0, 0, 0), "{step} {jitter_ms} ms");
        }
    }
}

#[test]
fn a_drifting_camera_slips_once_a_frame_of_drift_and_never_flips() {
    for (drift_ppm, pictures) in [(200.0, 54_000u64), (-200.0, 54_000)] {
        for seed in 1..6 {
            let camera = Camera { drift_ppm, jitter_ms: 5.0, phase: 0.1 * seed as f64, ..Camera::new(30.0) };
            let seen = film(camera, pictures, seed);
            // Half an hour at 200 ppm is 0.36 s, that is 10.8 frames.
            let slips = seen.dropped + seen.repeated() as u64;
            assert!((10..=12).contains(&slips), "{drift_ppm} ppm: {slips} slips");
            assert_eq!((seen.lost, seen.gaps()), (0, 0));
        }
    }
}

#[test]
fn other_rates_are_converted_without_gap_and_without_counting_loss() {
    // Per minute: the pictures that a rate has, the frames of the grid are 1800.
    let table = [
        (30_000.0 / 1_001.0, 0, 2),
        (29.0, 0, 62),
        (25.0, 0, 302),
        (24.0, 0, 362),
        (15.0, 0, 902),
        (10.0, 0, 1_202),
        (50.0, 1_202, 0),
        (60_000.0 / 1_001.0, 1_802, 0),
        (60.0, 1_802, 0),
    ];
    for (fps, dropped, repeated) in table {
        for phase in [0.0, 0.3, 0.5, 0.8] {
            for jitter_ms in [0.0, 3.0] {
                let seen = film(Camera { phase, jitter_ms, ..Camera::new(fps) }, (fps * 60.0) as u64, 11);
                let case = format!("{fps} fps, phase {phase}, jitter {jitter_ms} ms");
                assert_eq!(seen.gaps(), 0, "{case}");
                // Until the rate is known, a slow source's own distance is taken as a loss at most this often.
                assert!(seen.lost <= 2, "{case}: {} lost", seen.lost);
                assert!((1_796..=1_804).contains(&seen.frames.len()), "{case}: {} frames", seen.frames.len());
                let jittered = if jitter_ms > 0.0 { 40 } else { 4 };
                assert!(seen.dropped <= dropped + jittered, "{case}: {} dropped", seen.dropped);
                assert!(seen.repeated() <= repeated + jittered as usize, "{case}: {} repeated", seen.repeated());
            }
        }
    }
}

#[test]
fn one_lost_picture_is_repeated_and_counted() {
    let mut noise = Noise(5);
    let camera = Camera { jitter_ms: 4.0, phase: 0.4, ..Camera::new(30.0) };
    let seen = run((0..600).filter(|n| n % 100 != 50).map(|n| (n, camera.at(n, &mut noise))));
    assert_eq!((seen.lost, seen.gaps(), seen.repeated(), seen.dropped), (6, 0, 6, 0));
    assert_eq!(seen.frames.len(), 600);
}

/// Every repeated frame is counted, however many pictures a driver loses, as long as most of them come.
#[test]
fn a_camera_that_loses_many_pictures_is_not_taken_for_a_slow_one() {
    for (fps, share) in [(30.0, 0.1), (30.0, 0.2), (30.0, 0.3), (25.0, 0.2)] {
        for jitter_ms in [0.0, 4.0] {
            for seed in 1..6 {
                let camera = Camera { phase: 0.2 * seed as f64, jitter_ms, ..Camera::new(fps) };
                let (mut noise, mut chance) = (Noise(seed), Noise(seed + 100));
                let pictures = (0..900).map(|n| (n, camera.at(n, &mut noise)));
                let seen = run(pictures.filter(|_| chance.next() > 2.0 * share - 1.0).collect::<Vec<_>>().into_iter());
                let conversion = if fps < 30.0 { 900 / 5 } else { 0 };
                let repeated = seen.repeated() as u64;
                let case = format!("{fps} fps, {share} lost, {jitter_ms} ms, {seed}: {} lost, {repeated}", seen.lost);
                assert!(seen.lost + conversion + 9 >= repeated && seen.lost > 30, "{case} repeated");
            }
        }
    }
}

#[test]
fn a_lost_picture_of_a_slow_camera_is_repeated_and_counted() {
    let camera = Camera { phase: 0.2, ..Camera::new(15.0) };
    let seen = run((0..300).filter(|n| n % 100 != 50).map(|n| (n, camera.at(n, &mut Noise(1)))));
    assert_eq!((seen.lost, seen.gaps()), (6, 0), "two frames of the grid for each of three pictures");
}

#[test]
fn a_longer_absence_stays_a_gap_of_its_length() {
    for absence in [3u64, 10, 45, 300] {
        let camera = Camera { jitter_ms: 2.0, phase: 0.6, ..Camera::new(30.0) };
        let mut noise = Noise(absence);
        let pictures = (0..600u64).filter(|n| !(200..200 + absence).contains(n));
        let seen = run(pictures.map(|n| (n, camera.at(n, &mut noise))));
        assert_eq!((seen.gaps() as u64, seen.lost, seen.dropped), (absence, 0, 0), "{absence} pictures away");
        assert_eq!(seen.frames.len(), 600);
    }
}

#[test]
fn a_camera_that_slows_down_in_the_dark_is_followed_both_ways() {
    let mut noise = Noise(3);
    let mut at = 100e9;
    let pictures = (0..900u64).map(|n| {
        at += if (300..600).contains(&n) { 1e9 / 15.0 } else { 1e9 / 30.0 };
        (n, Mono((at + noise.next() * 3e6) as u64))
    });
    let seen = run(pictures);
    assert_eq!(seen.gaps(), 0);
    assert!(seen.lost <= 12, "{} counted as lost while the new rate was not known", seen.lost);
    assert!((1_196..=1_202).contains(&seen.frames.len()), "{}", seen.frames.len());
}

#[test]
fn a_wild_rate_never_gives_a_frame_away_twice() {
    for seed in 1..200 {
        let mut noise = Noise(seed);
        let mut at = 50e9;
        let pictures = (0..500u64).map(|n| {
            at += (noise.next() + 1.001) * 50e6;
            (n, Mono(at as u64))
        });
        run(pictures.collect::<Vec<_>>().into_iter());
    }
}

#[test]
fn time_that_stands_still_or_runs_back_is_dropped() {
    let mut retimer = Retimer::new(Grid::new(FPS));
    assert!(matches!(retimer.place(Mono(1_000_000_000)), Placement::Show(_)));
    assert_eq!(retimer.place(Mono(1_000_000_000)), Placement::Drop);
    assert_eq!(retimer.place(Mono(900_000_000)), Placement::Drop);
    assert!(matches!(retimer.place(Mono(1_033_000_000)), Placement::Show(_)));
}
