use super::*;
use crate::config::SlotConfig;
use crate::device::{ModeGroup, Rate, Signal};

/// The descriptors of a device as `lsusb -v` lists them: an interface for each alternate setting, whose endpoint has so
/// many bytes and extra transactions, and frames (kind, width, height, highest bits per second).
fn recorded(alternates: &[(u16, u16)], frames: &[(u8, u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = vec![18, 1, 0, 2, 0xef, 2, 1, 64, 0x6d, 0x04, 0x2d, 0x08, 0x11, 0, 0, 2, 1, 1];
    bytes.extend([9, 2, 0, 0, 2, 1, 0, 0x80, 250]);
    bytes.extend([9, 4, 0, 0, 1, 14, 1, 0, 0]);
    bytes.extend([9, 4, 1, 0, 0, 14, 2, 0, 0]);
    for (kind, width, height, bits) in frames {
        let mut frame = vec![30, 0x24, *kind, 1, 0];
        frame.extend(width.to_le_bytes());
        frame.extend(height.to_le_bytes());
        frame.extend([0; 4]);
        frame.extend(bits.to_le_bytes());
        frame.resize(30, 0);
        bytes.extend(frame);
    }
    for (number, (packet, extra)) in (1..).zip(alternates) {
        bytes.extend([9, 4, 1, number, 1, 14, 2, 0, 0]);
        let size = (packet | extra << 11).to_le_bytes();
        bytes.extend([7, 5, 0x81, 5, size[0], size[1], 1]);
    }
    // Its microphone, isochronous as well, is none of it.
    bytes.extend([9, 4, 3, 1, 1, 1, 2, 0, 0, 7, 5, 0x84, 5, 100, 0, 4]);
    bytes
}

/// Logitech C920: eleven alternate settings, the largest 3 × 1020.
fn c920() -> Vec<u8> {
    let alternates =
        [(192, 0), (384, 0), (512, 0), (640, 0), (800, 0), (944, 0), (640, 1), (800, 1), (992, 1), (896, 2), (1020, 2)];
    recorded(
        &alternates,
        &[
            (5, 640, 480, 147_456_000),
            (5, 1280, 720, 147_456_000),
            (7, 1280, 720, 442_368_000),
            (7, 1920, 1080, 995_328_000),
        ],
    )
}

/// MS2109 stick: 128 bytes to 3 × 1024.
fn stick() -> Vec<u8> {
    recorded(
        &[(128, 0), (512, 0), (1024, 0), (1024, 1), (1024, 2)],
        &[(5, 640, 480, 147_456_000), (7, 1280, 720, 221_184_000)],
    )
}

fn mode(format: PixelFormat, width: u32, height: u32, fps: u32) -> Mode {
    Mode { format, width, height, rate: Rate::new(fps, 1) }
}

#[test]
fn what_a_camera_reserves_follows_from_its_descriptors() {
    let c920 = parse(&c920()).unwrap();
    assert_eq!(c920.alternates.len(), 11, "the microphone's endpoint is none");
    assert_eq!(c920.alternates.last(), Some(&3_060));
    // 640x480 YUYV at 30: 147 Mbit/s are 2304 bytes of a microframe.
    assert_eq!(reserved(&c920, &mode(PixelFormat::Yuyv, 640, 480, 30)), Some(2_688 + 3 * 38));
    // At 15 half of it.
    assert_eq!(reserved(&c920, &mode(PixelFormat::Yuyv, 640, 480, 15)), Some(1_280 + 2 * 38));
    assert_eq!(reserved(&c920, &mode(PixelFormat::Mjpeg, 1920, 1080, 30)), Some(3_060 + 3 * 38), "as much as there is");
    assert_eq!(reserved(&c920, &mode(PixelFormat::Mjpeg, 333, 222, 30)), Some(3_060 + 3 * 38), "unknown: the worst");
    let bulk = parse(&recorded(&[], &[(7, 640, 360, 1)])).unwrap();
    assert_eq!(reserved(&bulk, &mode(PixelFormat::Mjpeg, 640, 360, 15)), None);
}

#[test]
fn two_cameras_of_the_worst_case_are_too_much_for_one_bus_and_not_for_two() {
    let camera = |port: &str| Camera {
        port: Port::new(port),
        name: "C".to_owned(),
        serial: None,
        node: String::new(),
        modes: vec![ModeGroup { format: PixelFormat::Mjpeg, width: 1280, height: 720, rates: vec![Rate::new(30, 1)] }],
        card: None,
        signal: Signal::Untold,
        controls: Vec::new(),
    };
    let together = |ports: &[&str]| {
        let cameras: Vec<_> = ports.iter().map(|port| camera(port)).collect();
        let both = [c920(), stick()].map(|bytes| parse(&bytes).unwrap());
        let videos: Vec<_> =
            cameras.iter().zip(both.iter().cycle()).map(|(c, v)| (c.port.clone(), v.clone())).collect();
        loads(&Config::default(), &cameras, &videos)
    };
    let one = together(&["usb-0000:01:00.0-1.1", "usb-0000:01:00.0-1.2"]);
    assert_eq!((one.len(), one[0].percent()), (1, 106), "{one:?}");
    let two = together(&["usb-0000:01:00.0-1.1", "usb-0000:02:00.0-1"]);
    assert!(two.len() == 2 && two.iter().all(|load| load.percent() < 60), "{two:?}");
    assert!(together(&["usb3-0000:01:00.0-1", "platform-vivid.0-0"]).is_empty());
    let mut config = Config::default();
    config
        .slots
        .values_mut()
        .for_each(|slot: &mut SlotConfig| slot.source = Source::Test { marks: false, tone_hz: None });
    assert!(loads(&config, &[camera("usb-a-1")], &[(Port::new("usb-a-1"), parse(&c920()).unwrap())]).is_empty());
}

#[test]
fn who_shares_the_bus_is_told_with_what_to_move() {
    let ports = ["usb-a:1-1.1", "usb-a:1-1.2", "usb-b-1", "usb3-a:1-1"].map(Port::new);
    let others = || ports.iter().zip([SlotId::new(1), None, SlotId::new(2), SlotId::new(3)]);
    let text = crowded(&ports[1], others());
    assert!(text.contains("shares the bus usb-a:1 with usb-a:1-1.1 (slot 1); move one"), "{text}");
    let text = crowded(&ports[2], others());
    assert!(text.contains("no other camera is on usb-b"), "{text}");
    assert_eq!(bus(&Port::new("usb-a-1.2-input1")), Some("usb-a"));
    assert_eq!(bus(&Port::new("pci-0000:03:00.0-1")), None);
}

#[test]
fn bytes_that_lead_nowhere_are_read_to_their_end() {
    let whole = c920();
    for end in 0..whole.len() {
        let _ = parse(&whole[..end]);
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut spoilt = whole.clone();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(seed >> 33).unwrap() % spoilt.len();
            spoilt[at] = seed.to_le_bytes()[7];
        }
        let _ = parse(&spoilt).map(|video| reserved(&video, &mode(PixelFormat::Mjpeg, 1280, 720, 30)));
    }
    assert_eq!(parse(&[]), None);
    assert_eq!(parse(&[0, 0, 0]), None);
}
