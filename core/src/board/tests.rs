use super::*;

fn board(id: &str) -> Board {
    Board::built_in(id).unwrap_or_else(|error| panic!("{error}"))
}

fn elements(board: &Board) -> Vec<&str> {
    board.encoder_candidates().iter().map(|candidate| candidate.element.as_str()).collect()
}

fn candidate<'b>(board: &'b Board, element: &str) -> &'b Encoder {
    board.encoder_candidates().iter().find(|candidate| candidate.element == element).unwrap()
}

#[test]
fn every_board_file_is_read_and_ends_with_software() {
    for (id, _) in BUILT_IN {
        let board = board(id);
        assert_eq!(&board.id, id);
        assert!(elements(&board).ends_with(&["x264enc", "openh264enc"]), "{id}");
        for candidate in board.encoder_candidates() {
            let software = ["x264enc", "openh264enc"].contains(&candidate.element.as_str());
            assert_eq!(candidate.hardware, !software, "{id}: {}", candidate.element);
        }
    }
}

#[test]
fn a_board_states_only_its_difference() {
    let pi = board("rpi4");
    let encoder = candidate(&pi, "v4l2h264enc");
    // Said by the root of the family, and by the board.
    assert!(encoder.hardware);
    assert_eq!(encoder.max_pixels_per_s, Some(1920 * 1080 * 30));
    assert_eq!(encoder.max_size, Some((1920, 1080)));
    assert_eq!(encoder.max_bitrate_bps, Some(20_000_000));
    assert_eq!(candidate(&board("generic-x86"), "x264enc").max_pixels_per_s, None);
    // Two steps up.
    assert!(candidate(&board("intel-n100"), "vah264lpenc").hardware);
}

#[test]
fn machines_are_recognised() {
    let tree = |names: &[&str]| Machine {
        compatible: names.iter().map(|name| (*name).to_owned()).collect(),
        cpu: String::new(),
        arch: "aarch64".to_owned(),
    };
    let pc = |cpu: &str| Machine { cpu: cpu.to_owned(), arch: "x86_64".to_owned(), ..Machine::default() };
    for (machine, id) in [
        (tree(&["raspberrypi,4-model-b", "brcm,bcm2711"]), "rpi4"),
        (tree(&["raspberrypi,5-compute-module", "brcm,bcm2712"]), "rpi5"),
        (tree(&["radxa,rock-5b", "rockchip,rk3588"]), "rk3588"),
        (tree(&["fsl,imx8mp-evk", "fsl,imx8mp"]), "imx8mp"),
        (tree(&["nvidia,p3768-0000+p3767-0005", "nvidia,p3767-0005", "nvidia,tegra234"]), "jetson-orin"),
        (tree(&["pine64,rockpro64", "rockchip,rk3399"]), "generic"),
        (pc("Intel(R) N100"), "intel-n100"),
        (pc("Intel(R) Core(TM) i5-8250U CPU @ 1.60GHz"), "generic-x86"),
        (Machine::default(), "generic"),
    ] {
        assert_eq!(Board::detect(&machine).unwrap().id, id, "{machine:?}");
    }
}

#[test]
fn a_wrong_board_file_is_told_with_its_lines() {
    let wrong = r#"
encoders = "x264enc"
[match]
compatible = [1]
[encoder.x264enc]
throughput = "a lot"
max_size = "big"
speed = 3
"#;
    let error = Board::read("wrong", &|_| Some(wrong.to_owned())).unwrap_err();
    let BoardError::Invalid { problems, .. } = &error else { panic!("{error}") };
    let keys: Vec<_> = problems.iter().map(|problem| (problem.line, problem.key.as_str())).collect();
    assert_eq!(
        keys,
        [
            (2, "encoders"),
            (4, "match.compatible"),
            (6, "encoder.x264enc.throughput"),
            (7, "encoder.x264enc.max_size"),
            (8, "encoder.x264enc.speed"),
        ]
    );
    let syntax = Board::read("wrong", &|_| Some("[a".to_owned())).unwrap_err();
    assert!(syntax.to_string().starts_with("board/wrong.toml: 1: syntax: "), "{syntax}");
}

#[test]
fn boards_that_lead_nowhere_are_refused() {
    assert_eq!(Board::built_in("toaster"), Err(BoardError::Unknown("toaster".to_owned())));
    let circle = |_: &str| Some("inherit = \"a\"".to_owned());
    assert_eq!(Board::read("a", &circle), Err(BoardError::Circular("a".to_owned())));
    let orphan = |id: &str| (id == "a").then(|| "inherit = \"gone\"".to_owned());
    assert_eq!(Board::read("a", &orphan), Err(BoardError::Unknown("gone".to_owned())));
}

#[test]
fn throughput_reads_as_boards_are_advertised() {
    for (text, pixels_per_s) in [
        ("1920x1080 @ 30", Some(62_208_000)),
        ("1920x1080@30", Some(62_208_000)),
        ("12 * 1920x1080 @ 30", Some(746_496_000)),
        ("0 * 1920x1080 @ 30", None),
        ("1920x1080", None),
        ("1920x1080 @ 0", None),
        ("99999x1080 @ 30", None),
        ("1920x1080 @ 30 @ 30", None),
    ] {
        assert_eq!(parse_throughput(text), pixels_per_s, "{text}");
    }
}
