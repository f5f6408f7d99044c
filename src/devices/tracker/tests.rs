use super::*;

fn node(number: u32, instance: u64) -> VideoNode {
    VideoNode {
        node: format!("/dev/video{number}"),
        instance,
        port: Port::new(format!("usb-x-{number}")),
        product: None,
        serial: None,
        sound_device: Some(format!("/sys/devices/x/{number}").into()),
    }
}

fn card(number: u32) -> SoundNode {
    SoundNode {
        device: format!("hw:CARD=c{number},DEV=0"),
        name: String::new(),
        port: Port::new(""),
        usb_device: Some(format!("/sys/devices/x/{number}").into()),
    }
}

fn camera(_: &str) -> Result<Probed, String> {
    Ok(Probed::Camera { name: "Cam".into(), modes: Vec::new(), signal: Signal::Untold, controls: Vec::new() })
}

/// Events in short: `+0` plugged, `-0` unplugged, `+0c` plugged with a sound card.
fn short(events: &[Event]) -> Vec<String> {
    let port = |port: &Port| port.as_str().trim_start_matches("usb-x-").to_owned();
    let text = |event: &Event| {
        if let Event::CameraPlugged(camera) = event {
            format!("+{}{}", port(&camera.port), if camera.card.is_some() { "c" } else { "" })
        } else if let Event::CameraUnplugged { port: unplugged } = event {
            format!("-{}", port(unplugged))
        } else {
            panic!("unexpected {event:?}")
        }
    };
    events.iter().map(text).collect()
}

/// A tracker with a hand on its clock.
struct Story {
    tracker: Tracker,
    now: Instant,
}

impl Story {
    fn begins() -> Self {
        Self { tracker: Tracker::default(), now: Instant::now() }
    }

    fn look(&mut self, nodes: &[VideoNode], sound: &[SoundNode]) -> Vec<String> {
        short(&self.tracker.look(self.now, Duration::ZERO, nodes.to_vec(), sound, &mut camera))
    }
}

#[test]
fn what_is_there_is_told_once_and_what_goes_is_told_once() {
    let mut story = Story::begins();
    assert_eq!(story.look(&[node(0, 10), node(1, 11)], &[]), ["+0", "+1"]);
    assert_eq!(story.look(&[node(0, 10), node(1, 11)], &[]), [""; 0]);
    assert_eq!(story.look(&[node(1, 11)], &[]), ["-0"]);
    assert_eq!(story.look(&[], &[]), ["-1"]);
}

#[test]
fn a_replug_between_two_looks_is_an_unplug_and_a_plug() {
    let mut story = Story::begins();
    story.look(&[node(0, 10)], &[]);
    assert_eq!(story.look(&[node(0, 20)], &[]), ["-0", "+0"]);
}

#[test]
fn a_sound_card_that_comes_later_is_told_without_an_unplug() {
    let mut story = Story::begins();
    assert_eq!(story.look(&[node(0, 10)], &[]), ["+0"]);
    assert_eq!(story.look(&[node(0, 10)], &[card(0)]), ["+0c"]);
    assert_eq!(story.look(&[node(0, 10)], &[card(1)]), ["+0"], "the card of another device");
}

#[test]
fn a_port_keeps_its_name_while_its_node_lives() {
    let mut story = Story::begins();
    story.look(&[node(0, 10), node(1, 11)], &[]);
    // Its elder sibling went away, so that by its position it would be input 0 now.
    let renamed = VideoNode { port: Port::new("usb-x-0"), ..node(1, 11) };
    assert_eq!(story.look(&[renamed], &[]), ["-0"]);
}

#[test]
fn a_new_node_is_asked_after_it_settled() {
    let mut tracker = Tracker::default();
    let start = Instant::now();
    let mut at = |ms| {
        let now = start + Duration::from_millis(ms);
        short(&tracker.look(now, SETTLE, vec![node(0, 10)], &[], &mut camera))
    };
    assert_eq!(at(0), [""; 0]);
    assert_eq!(at(149), [""; 0]);
    assert_eq!(at(150), ["+0"]);
    assert_eq!(tracker.next_due(), None);
}

#[test]
fn a_node_that_cannot_be_opened_is_asked_again_at_a_bounded_rate_until_it_can() {
    let mut tracker = Tracker::default();
    let start = Instant::now();
    let mut tries = 0;
    let mut asked_at = start;
    for expected_ms in [0, 100, 300, 700, 1500, 3100, 6300, 11_300, 16_300] {
        assert_eq!(asked_at - start, Duration::from_millis(expected_ms), "try {tries}");
        let mut refuse = |_: &str| {
            tries += 1;
            Err("no permission".to_owned())
        };
        assert!(tracker.look(asked_at, Duration::ZERO, vec![node(0, 10)], &[], &mut refuse).is_empty());
        // Looking in between asks nothing.
        let between = asked_at + Duration::from_millis(1);
        tracker.look(between, Duration::ZERO, vec![node(0, 10)], &[], &mut refuse);
        asked_at = tracker.next_due().unwrap();
    }
    assert_eq!(tries, 9);
    assert_eq!(tracker.failures()[0].why, "no permission");
    assert_eq!(short(&tracker.look(asked_at, Duration::ZERO, vec![node(0, 10)], &[], &mut camera)), ["+0"]);
    assert!(tracker.failures().is_empty());
}

#[test]
fn nodes_that_are_no_cameras_are_asked_once_and_never_told() {
    let mut tracker = Tracker::default();
    let mut asked = 0;
    for _ in 0..3 {
        let mut other = |_: &str| {
            asked += 1;
            Ok(Probed::Other)
        };
        assert!(tracker.look(Instant::now(), Duration::ZERO, vec![node(1, 11)], &[], &mut other).is_empty());
    }
    assert_eq!(asked, 1);
}

#[test]
fn the_products_name_goes_before_the_drivers() {
    let mut tracker = Tracker::default();
    let named = VideoNode { product: Some("USB3. 0 capture".into()), ..node(0, 10) };
    let events = tracker.look(Instant::now(), Duration::ZERO, vec![named, node(1, 11)], &[], &mut camera);
    let names: Vec<_> = events
        .iter()
        .filter_map(|event| if let Event::CameraPlugged(camera) = event { Some(camera.name.as_str()) } else { None })
        .collect();
    assert_eq!(names, ["USB3. 0 capture", "Cam"]);
}

#[test]
fn a_change_of_an_inputs_signal_is_told_once_and_its_modes_stay_without_one() {
    use cuebox_core::device::{PixelFormat, Rate};
    let mode =
        |height| vec![ModeGroup { format: PixelFormat::Uyvy, width: 1280, height, rates: vec![Rate::new(60, 1)] }];
    let mut tracker = Tracker::default();
    let (now, nodes) = (Instant::now(), vec![node(1, 1)]);
    let mut probe = |_: &str| {
        Ok(Probed::Camera { name: "HDMI".into(), modes: mode(720), signal: Signal::Good, controls: Vec::new() })
    };
    tracker.look(now, Duration::ZERO, nodes.clone(), &[], &mut probe);
    assert_eq!(tracker.inputs(), BTreeMap::from([(1, "/dev/video1".to_owned())]));
    let table = [
        (Signal::Good, mode(720), None),
        (Signal::None, Vec::new(), Some((Signal::None, 720))),
        (Signal::Unlocked, Vec::new(), Some((Signal::Unlocked, 720))),
        (Signal::Unlocked, Vec::new(), None),
        (Signal::Good, mode(1080), Some((Signal::Good, 1080))),
    ];
    for (signal, modes, expected) in table {
        tracker.hear(&mut |_| Some(Heard { signal, modes: modes.clone() }));
        let events = tracker.look(now, Duration::ZERO, nodes.clone(), &[], &mut probe);
        let seen = |event: &Event| {
            if let Event::CameraPlugged(camera) = event { Some((camera.signal, camera.modes[0].height)) } else { None }
        };
        let told = events.iter().find_map(seen);
        assert_eq!((told, events.len()), (expected, usize::from(expected.is_some())), "{signal:?}");
    }
    tracker.hear(&mut |_| None);
    assert!(tracker.look(now, Duration::ZERO, nodes, &[], &mut probe).is_empty(), "one that cannot be asked is left");
}
