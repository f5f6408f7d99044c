use super::*;
use crate::board::Board;
use crate::device::BrokenEncoder;

fn slots(count: u8) -> BTreeSet<SlotId> {
    SlotId::all().take(usize::from(count)).collect()
}

fn slot(number: u8) -> EncodeJob {
    EncodeJob::Slot(SlotId::new(number).unwrap())
}

/// Everything on: stream, program recording, this many slot recordings.
fn wishes((width, height, fps): (u32, u32, u32), count: u8) -> Wishes {
    Wishes {
        width,
        height,
        fps,
        video_bitrate_bps: 4_000_000,
        min_video_bitrate_bps: 150_000,
        stream: true,
        program_record: true,
        slots: slots(count),
        slot_streams: BTreeSet::new(),
    }
}

/// A board on which all encoders work but those that are named.
fn board(id: &str, broken: &[&str]) -> Encoders {
    let board = Board::built_in(id).unwrap();
    let candidates =
        board.encoder_candidates().iter().filter(|candidate| !broken.contains(&candidate.element.as_str()));
    Encoders { board: board.id.clone(), working: candidates.cloned().collect(), broken: Vec::new() }
}

const P720: (u32, u32, u32) = (1280, 720, 30);
const P1080: (u32, u32, u32) = (1920, 1080, 30);
const P1080_60: (u32, u32, u32) = (1920, 1080, 60);
const ALL_HARDWARE_OF_A_PC: &[&str] = &["vah264enc", "vah264lpenc", "qsvh264enc"];

/// What a plan comes to, in one line: jobs by element, with the size of the slots.
fn outline(plan: &Plan) -> String {
    let shown = |job: &EncodeJob| match (plan.grants.get(job), plan.shared.get(job), plan.refused.get(job)) {
        (Some(grant), _, _) => format!("{job} {} {}x{}", grant.element, grant.width, grant.height),
        (_, Some(other), _) => format!("{job} = {other}"),
        (_, _, Some(_)) => format!("{job} refused"),
        (None, None, None) => String::new(),
    };
    let jobs = [EncodeJob::Stream, EncodeJob::ProgramRecord].into_iter().chain(SlotId::all().map(EncodeJob::Slot));
    let jobs = jobs.chain(SlotId::all().map(EncodeJob::SlotStream));
    jobs.map(|job| shown(&job)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

fn alike(element: &str, size: &str, range: std::ops::RangeInclusive<u8>) -> String {
    range.map(|number| format!("slot-{number} {element} {size}")).collect::<Vec<_>>().join(", ")
}

#[test]
fn boards_share_shrink_and_spill_over_as_their_limits_say() {
    let table: Vec<(&str, Encoders, Wishes, String)> = vec![
        (
            "a PC with software only takes everything",
            board("generic-x86", ALL_HARDWARE_OF_A_PC),
            wishes(P1080, 5),
            format!("stream x264enc 1920x1080, program-record x264enc 1920x1080, {}", alike("x264enc", "1920x1080", 1..=5)),
        ),
        (
            "a PC without x264 has openh264",
            board("generic-x86", &["vah264enc", "vah264lpenc", "qsvh264enc", "x264enc"]),
            wishes(P720, 1),
            "stream openh264enc 1280x720, program-record openh264enc 1280x720, slot-1 openh264enc 1280x720".to_owned(),
        ),
        (
            "Pi 4, 720p: five small recordings beside the stream fill it to the last pixel",
            board("rpi4", &["x264enc", "openh264enc"]),
            wishes(P720, 5),
            format!("stream v4l2h264enc 1280x720, program-record = stream, {}", alike("v4l2h264enc", "640x360", 1..=5)),
        ),
        (
            "Pi 4, 720p with two cameras: recordings as large as fits, the rest by software",
            board("rpi4", &[]),
            wishes(P720, 2),
            "stream v4l2h264enc 1280x720, program-record = stream, slot-1 v4l2h264enc 1280x720, slot-2 x264enc 1280x720"
                .to_owned(),
        ),
        (
            "Pi 4, 720p without cameras: two encodes",
            board("rpi4", &[]),
            wishes(P720, 0),
            "stream v4l2h264enc 1280x720, program-record v4l2h264enc 1280x720".to_owned(),
        ),
        (
            "Pi 4, 1080p: the stream takes all of it, software takes the cameras",
            board("rpi4", &[]),
            wishes(P1080, 5),
            format!("stream v4l2h264enc 1920x1080, program-record = stream, {}", alike("x264enc", "480x270", 1..=5)),
        ),
        (
            "Pi 5 has software only",
            board("rpi5", &[]),
            wishes(P720, 5),
            format!("stream x264enc 1280x720, program-record = stream, {}", alike("x264enc", "960x540", 1..=5)),
        ),
        (
            "RK3588 takes everything",
            board("rk3588", &[]),
            wishes(P1080, 5),
            format!("stream mpph264enc 1920x1080, program-record mpph264enc 1920x1080, {}", alike("mpph264enc", "1920x1080", 1..=5)),
        ),
        (
            "RK3588 without its kernel driver falls back to software",
            board("rk3588", &["mpph264enc", "v4l2h264enc"]),
            wishes(P1080, 5),
            format!("stream x264enc 1920x1080, program-record = stream, {}", alike("x264enc", "720x404", 1..=5)),
        ),
        (
            "i.MX8MP: one unit of 1080p60",
            board("imx8mp", &["x264enc", "openh264enc"]),
            wishes(P1080, 5),
            format!("stream v4l2h264enc 1920x1080, program-record = stream, {}", alike("v4l2h264enc", "720x404", 1..=5)),
        ),
        (
            "N100 at 1080p30 takes everything",
            board("intel-n100", &["vah264enc"]),
            wishes(P1080, 5),
            format!("stream vah264lpenc 1920x1080, program-record vah264lpenc 1920x1080, {}", alike("vah264lpenc", "1920x1080", 1..=5)),
        ),
        (
            "N100 at 1080p60: recordings at three quarters",
            board("intel-n100", &["x264enc", "openh264enc"]),
            wishes(P1080_60, 5),
            format!("stream vah264lpenc 1920x1080, program-record = stream, {}", alike("vah264lpenc", "1440x810", 1..=5)),
        ),
        (
            "Orin NX shares for six full-size encodes",
            board("jetson-orin", &["x264enc", "openh264enc"]),
            wishes(P1080, 5),
            format!("stream nvv4l2h264enc 1920x1080, program-record = stream, {}", alike("nvv4l2h264enc", "1920x1080", 1..=5)),
        ),
        (
            "Orin Nano has no encoder",
            board("jetson-orin", &["nvv4l2h264enc"]),
            wishes(P720, 5),
            format!("stream x264enc 1280x720, program-record = stream, {}", alike("x264enc", "960x540", 1..=5)),
        ),
    ];
    for (name, encoders, wishes, expected) in table {
        let plan = plan(&encoders, &wishes);
        assert_eq!(outline(&plan), expected, "{name}");
        keeps_the_limits(&encoders, &plan);
    }
}

/// No encoder carries more than it can, and every grant can be encoded.
fn keeps_the_limits(encoders: &Encoders, plan: &Plan) {
    for encoder in &encoders.working {
        let grants: Vec<_> = plan.grants.values().filter(|grant| grant.element == encoder.element).collect();
        let pixels: u64 = grants.iter().map(|g| u64::from(g.width) * u64::from(g.height) * u64::from(g.fps)).sum();
        assert!(encoder.max_pixels_per_s.is_none_or(|most| pixels <= most), "{}", encoder.element);
        assert!(encoder.max_sessions.is_none_or(|most| grants.len() <= usize::try_from(most).unwrap()));
        for grant in grants {
            assert!(grant.width.is_multiple_of(2) && grant.height.is_multiple_of(2), "{grant:?}");
            assert!(encoder.max_size.is_none_or(|(w, h)| grant.width <= w && grant.height <= h), "{grant:?}");
        }
    }
}

#[test]
fn concessions_are_told_with_the_limit_that_made_them() {
    let plan = plan(&board("rpi4", &["x264enc", "openh264enc"]), &wishes(P720, 5));
    let limit = "v4l2h264enc carries 62.2 million pixels per second, 55.3 are taken and 1280x720 at 30 needs 27.6";
    assert_eq!(
        plan.notes,
        [
            format!("the program's recording shares the stream's encode: {limit}"),
            format!("slots are recorded at 640x360: {limit}"),
        ]
    );
    let free = super::plan(&board("generic-x86", ALL_HARDWARE_OF_A_PC), &wishes(P720, 5));
    assert_eq!(free.notes, Vec::<String>::new());
}

#[test]
fn a_unit_behind_two_interfaces_is_counted_once() {
    let all = board("intel-n100", &[]);
    assert!(all.working.iter().filter(|encoder| encoder.hardware).count() > 1);
    let plan = plan(&all, &wishes((3840, 2160, 30), 0));
    assert_eq!(outline(&plan), "stream vah264lpenc 3840x2160, program-record vah264lpenc 3840x2160");
    let plan = super::plan(&all, &wishes((3840, 2160, 60), 1));
    assert_eq!(outline(&plan), "stream vah264lpenc 3840x2160, program-record = stream, slot-1 x264enc 1920x1080");
}

#[test]
fn what_cannot_be_placed_is_refused_with_the_limit() {
    let one_session = Encoders {
        board: "test".to_owned(),
        working: vec![Encoder { max_sessions: Some(2), ..unlimited("hwenc") }],
        broken: Vec::new(),
    };
    let plan = plan(&one_session, &wishes(P720, 3));
    assert_eq!(
        outline(&plan),
        "stream hwenc 1280x720, program-record = stream, slot-1 hwenc 320x180, slot-2 refused, slot-3 refused"
    );
    assert_eq!(plan.refused[&slot(2)], "hwenc has 2 encodes, all taken");

    let small =
        Encoders { working: vec![Encoder { max_size: Some((1280, 720)), ..unlimited("hwenc") }], ..one_session };
    let plan = super::plan(&small, &wishes(P1080, 1));
    assert_eq!(outline(&plan), "stream refused, program-record refused, slot-1 hwenc 480x270");
    assert_eq!(plan.refused[&EncodeJob::Stream], "hwenc encodes up to 1280x720, not 1920x1080");
}

#[test]
fn without_any_encoder_every_job_is_refused_with_what_was_tried() {
    let why = "no element x264enc: install gstreamer1.0-plugins-ugly".to_owned();
    let none = Encoders {
        board: "test".to_owned(),
        working: Vec::new(),
        broken: vec![BrokenEncoder { element: "x264enc".to_owned(), why }],
    };
    let plan = plan(&none, &wishes(P720, 1));
    assert_eq!(outline(&plan), "stream refused, program-record refused, slot-1 refused");
    assert!(plan.refused[&slot(1)].contains("gstreamer1.0-plugins-ugly"));
}

fn unlimited(element: &str) -> Encoder {
    Encoder {
        element: element.to_owned(),
        hardware: true,
        max_sessions: None,
        max_size: None,
        max_pixels_per_s: None,
        max_bitrate_bps: None,
    }
}

#[test]
fn a_grant_says_everything_that_the_encoder_must_be_told() {
    let plan = plan(&board("generic-x86", ALL_HARDWARE_OF_A_PC), &wishes(P720, 1));
    let stream = Grant {
        element: "x264enc".to_owned(),
        hardware: false,
        width: 1280,
        height: 720,
        fps: 30,
        control: RateControl::Stream { min_bps: 150_000, max_bps: 4_000_000 },
        profile: Profile::ConstrainedBaseline,
        level: 31,
        gop: 60,
    };
    let recording =
        Grant { control: RateControl::Steady { average_bps: 4_000_000 }, profile: Profile::Main, ..stream.clone() };
    assert_eq!(plan.grants[&EncodeJob::Stream], stream);
    assert_eq!(plan.grants[&EncodeJob::ProgramRecord], recording);
    assert_eq!(plan.grants[&slot(1)], recording);
}

#[test]
fn an_encoders_highest_bitrate_binds_and_is_told() {
    let wish = Wishes { video_bitrate_bps: 25_000_000, ..wishes(P1080, 0) };
    let plan = plan(&board("rpi4", &[]), &wish);
    let control = plan.grants[&EncodeJob::Stream].control;
    assert_eq!(control, RateControl::Stream { min_bps: 150_000, max_bps: 20_000_000 });
    assert!(plan.notes.contains(&"the stream is at most 20 Mbit/s, the limit of v4l2h264enc".to_owned()), "{plan:?}");
}

#[test]
fn only_what_is_wished_is_planned() {
    let encoders = board("rpi4", &[]);
    let recording = Wishes { stream: false, ..wishes(P720, 1) };
    assert_eq!(
        outline(&plan(&encoders, &recording)),
        "program-record v4l2h264enc 1280x720, slot-1 v4l2h264enc 1280x720"
    );
    let streaming = Wishes { program_record: false, ..wishes(P720, 0) };
    assert_eq!(outline(&plan(&encoders, &streaming)), "stream v4l2h264enc 1280x720");
    let nothing = Wishes { stream: false, program_record: false, ..wishes(P720, 0) };
    assert_eq!(plan(&encoders, &nothing), Plan::default());
}

#[test]
fn every_board_keeps_its_limits_at_every_size() {
    for (id, _) in crate::board::BUILT_IN {
        for broken in [&[] as &[&str], &["x264enc", "openh264enc"]] {
            let encoders = board(id, broken);
            for (width, height) in [(640, 360), (854, 480), (1280, 720), (1920, 1080), (3840, 2160)] {
                for fps in crate::config::FRAME_RATES {
                    for count in 0..=5 {
                        let plan = plan(&encoders, &wishes((width, height, fps), count));
                        keeps_the_limits(&encoders, &plan);
                        let told = plan.grants.len() + plan.shared.len() + plan.refused.len();
                        assert_eq!(told, usize::from(count) + 2, "{id} {width}x{height}@{fps}: {plan:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn slots_are_published_in_the_room_that_is_left_and_cost_no_recording_anything() {
    let published = |wishes: Wishes| Wishes { slot_streams: wishes.slots.clone(), ..wishes };
    let free = plan(&board("generic-x86", ALL_HARDWARE_OF_A_PC), &published(wishes(P1080, 2)));
    assert!(outline(&free).ends_with("stream-slot-1 x264enc 640x360, stream-slot-2 x264enc 640x360"), "{free:?}");
    let slot_one = &free.grants[&EncodeJob::SlotStream(SlotId::new(1).unwrap())];
    assert_eq!(slot_one.control, RateControl::Stream { min_bps: 100_000, max_bps: 400_000 });
    for (id, _) in crate::board::BUILT_IN {
        for broken in [&[] as &[&str], &["x264enc", "openh264enc"]] {
            let encoders = board(id, broken);
            let without = plan(&encoders, &wishes(P720, 5));
            let with = plan(&encoders, &published(wishes(P720, 5)));
            keeps_the_limits(&encoders, &with);
            let recorded = |plan: &Plan| {
                let mut grants = plan.grants.clone();
                grants.retain(|job, _| !matches!(job, EncodeJob::SlotStream(_)));
                (grants, plan.shared.clone(), plan.notes.clone())
            };
            assert_eq!(recorded(&with), recorded(&without), "{id}");
        }
    }
    let full = plan(&board("rpi4", &["x264enc", "openh264enc"]), &published(wishes(P720, 5)));
    let why = "v4l2h264enc carries 62.2 million pixels per second, 62.2 are taken and 640x360 at 30 needs 6.9";
    assert_eq!(full.refused[&EncodeJob::SlotStream(SlotId::new(1).unwrap())], why);
}

#[test]
fn a_published_slot_keeps_the_shows_shape() {
    for (show, small) in [
        ((1920, 1080), (640, 360)),
        ((1280, 960), (480, 360)),
        ((720, 1280), (202, 360)),
        ((2560, 1080), (640, 270)),
        ((640, 360), (640, 360)),
        ((320, 180), (320, 180)),
        ((3840, 90), (640, 14)),
    ] {
        assert_eq!(small_size(show), small, "{show:?}");
    }
}
