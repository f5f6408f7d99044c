//! The test source.

use cuebox_core::director::CaptureSource;

use super::stage::{FPS, Stage, assert_contiguous, first_buffer, marked, slot};

#[test]
fn five_seconds_of_test_picture_have_every_frame_once_with_its_own_number() {
    let mut stage = Stage::open();
    let _running = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(5 * FPS as usize);
    let pictures = stage.pictures();
    assert_contiguous(&pictures);
    for picture in &pictures {
        let marks = picture.marks.expect("readable marks");
        assert_eq!(marks.slot, 2);
        assert_eq!(u64::from(marks.frame), picture.index.0 % (1 << 24));
    }
}

#[test]
fn flash_and_burst_begin_at_the_same_whole_second() {
    let mut stage = Stage::open();
    let _running = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait("three flashes", |taken| taken.pictures.iter().filter(|picture| picture.flash > 200).count() >= 3);
    stage.wait_pictures(3);
    let (pictures, sound) = (stage.pictures(), stage.sound());
    for picture in &pictures {
        assert_eq!(picture.flash > 200, picture.index.0.is_multiple_of(FPS), "{picture:?}");
    }
    let loud = |position: u64, samples: &[f32]| {
        let inside = samples.iter().enumerate().filter(|(_, sample)| sample.abs() > 0.2);
        inside.map(move |(at, _)| position + at as u64).collect::<Vec<_>>()
    };
    let loud: Vec<u64> = sound.iter().flat_map(|(position, samples)| loud(*position, samples)).collect();
    assert!(loud.iter().all(|position| position % 48_000 < 960), "the burst stays in its 20 ms");
    let flashes = pictures.iter().filter(|picture| picture.flash > 200).map(|picture| picture.index.0 / FPS);
    for second in flashes {
        assert!(loud.iter().any(|position| position / 48_000 == second), "second {second}");
    }
}

#[test]
fn the_sound_has_no_gap_and_its_level_is_told() {
    let mut stage = Stage::open();
    let _running = stage.start(1, CaptureSource::Test { marks: false, tone_hz: Some(1_000) });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(2 * FPS as usize);
    for pair in stage.sound().windows(2) {
        assert_eq!(pair[1].0, pair[0].0 + pair[0].1.len() as u64);
    }
    let gauges = stage.context.gauges.lock().unwrap().slots[&slot(2)].clone();
    assert_eq!(gauges.audio_dbfs, vec![-20.0, -20.0]);
    assert!((gauges.fps - 30.0).abs() < 1.5, "{}", gauges.fps);
}

#[test]
fn a_test_source_that_restarts_in_the_middle_goes_on_where_it_would_have_been() {
    let mut stage = Stage::open();
    let first = stage.start(1, marked());
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(20);
    drop(first);
    let _second = stage.start(2, marked());
    stage.wait_fact(2, first_buffer);
    stage.wait_pictures(20);
    let mut last = None;
    for picture in stage.pictures() {
        assert_eq!(u64::from(picture.marks.expect("readable marks").frame), picture.index.0 % (1 << 24));
        // While one goes and the other comes both may show the same frame.
        assert!(last.is_none_or(|last| picture.index >= last), "time never runs back");
        last = Some(picture.index);
    }
}

#[test]
fn without_marks_there_is_neither_flash_nor_burst() {
    let mut stage = Stage::open();
    let _running = stage.start(1, CaptureSource::Test { marks: false, tone_hz: None });
    stage.wait_fact(1, first_buffer);
    stage.wait_pictures(FPS as usize + 5);
    assert!(
        stage.pictures().iter().all(|picture| picture.marks.is_none() && picture.flash < 200 && picture.middle > 16)
    );
    assert!(stage.sound().iter().all(|(_, samples)| samples.iter().all(|sample| *sample == 0.0)));
}
