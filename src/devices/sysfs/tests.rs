use std::os::unix::fs::symlink;

use super::*;

/// A machine laid out in a folder of its own, which goes away with it.
struct Laid {
    root: PathBuf,
}

impl Laid {
    fn out(test: &str) -> Self {
        let root = std::env::temp_dir().join(format!("cuebox-sysfs-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("proc/asound")).unwrap();
        Self { root }
    }

    fn machine(&self) -> Machine {
        Machine { sys: self.root.join("sys"), proc: self.root.join("proc"), dev: "/dev".into() }
    }

    /// Adds a class device at `path` below `/sys/devices`.
    fn device(&self, class: &str, path: &str, attributes: &[(&str, &str)]) {
        let device = self.root.join("sys/devices").join(path);
        fs::create_dir_all(&device).unwrap();
        for (name, value) in attributes {
            fs::write(device.join(name), format!("{value}\n")).unwrap();
        }
        let class = self.root.join("sys/class").join(class);
        fs::create_dir_all(&class).unwrap();
        symlink(&device, class.join(device.file_name().unwrap())).unwrap();
    }

    fn attribute(&self, path: &str, value: &str) {
        let file = self.root.join("sys/devices").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{value}\n")).unwrap();
    }
}

impl Drop for Laid {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

fn ports(machine: &Machine) -> Vec<(String, String)> {
    machine.video_nodes().into_iter().map(|node| (node.node, node.port.to_string())).collect()
}

fn pair(node: &str, port: &str) -> (String, String) {
    (node.to_owned(), port.to_owned())
}

#[test]
fn a_machine_without_cameras_or_sound_has_none() {
    let laid = Laid::out("none");
    assert!(laid.machine().video_nodes().is_empty());
    assert!(laid.machine().sound_nodes().is_empty());
}

#[test]
fn five_nodes_of_one_platform_device_are_five_inputs() {
    let laid = Laid::out("vivid");
    for number in 0..5 {
        laid.device("video4linux", &format!("platform/vivid.0/video4linux/video{number}"), &[("index", "0")]);
    }
    let expected: Vec<_> =
        (0..5).map(|number| pair(&format!("/dev/video{number}"), &format!("platform-vivid.0-{number}"))).collect();
    assert_eq!(ports(&laid.machine()), expected);
}

#[test]
fn a_webcam_keeps_its_port_when_its_nodes_get_other_numbers() {
    // The picture's node was registered first (index 0), but a smaller number was free for the metadata's.
    let laid = Laid::out("webcam");
    let usb = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/video4linux";
    laid.device("video4linux", &format!("{usb}/video5"), &[("index", "0")]);
    laid.device("video4linux", &format!("{usb}/video0"), &[("index", "1")]);
    let expected = [pair("/dev/video5", "usb-0000:00:14.0-2"), pair("/dev/video0", "usb-0000:00:14.0-2-input1")];
    assert_eq!(ports(&laid.machine()), expected);
}

#[test]
fn the_root_hubs_speed_tells_the_two_buses_of_a_controller_apart() {
    let laid = Laid::out("speed");
    laid.attribute("pci0000:00/0000:00:14.0/usb1/speed", "480");
    laid.attribute("pci0000:00/0000:00:14.0/usb2/speed", "10000");
    laid.device("video4linux", "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/video4linux/video0", &[]);
    laid.device("video4linux", "pci0000:00/0000:00:14.0/usb2/2-2/2-2:1.0/video4linux/video1", &[]);
    let expected = [pair("/dev/video0", "usb-0000:00:14.0-2"), pair("/dev/video1", "usb3-0000:00:14.0-2")];
    assert_eq!(ports(&laid.machine()), expected);
}

#[test]
fn nodes_that_are_not_video_are_passed_over() {
    let laid = Laid::out("others");
    for name in ["v4l-subdev0", "vbi0", "radio0", "video", "v4l-touch0"] {
        laid.device("video4linux", &format!("platform/soc/fe801000.csi/video4linux/{name}"), &[]);
    }
    assert!(laid.machine().video_nodes().is_empty());
}

#[test]
fn names_and_serials_come_from_the_usb_device_and_are_cleaned() {
    let laid = Laid::out("names");
    let device = "platform/vhci_hcd.0/usb3/3-1";
    laid.attribute(&format!("{device}/product"), "USB3. 0 \u{7}capture ");
    laid.attribute(&format!("{device}/serial"), "SIM0000");
    laid.device("video4linux", &format!("{device}/3-1:1.0/video4linux/video0"), &[("index", "0")]);
    let [node] = &laid.machine().video_nodes()[..] else { panic!("one node") };
    assert_eq!(node.product.as_deref(), Some("USB3. 0 capture"));
    assert_eq!(node.serial.as_deref(), Some("SIM0000"));
}

#[test]
fn a_card_is_paired_with_the_first_camera_of_its_own_usb_device() {
    let laid = Laid::out("pairing");
    let usb = "pci0000:00/0000:00:14.0/usb1";
    for (number, place) in [(0, "1-2/1-2:1.0"), (2, "1-2/1-2:1.4"), (4, "1-3/1-3:1.0")] {
        laid.device("video4linux", &format!("{usb}/{place}/video4linux/video{number}"), &[("index", "0")]);
    }
    laid.device("sound", &format!("{usb}/1-2/1-2:1.2/sound/card1"), &[("id", "MS2109")]);
    laid.attribute(&format!("{usb}/1-2/1-2:1.2/sound/card1/pcmC1D0c/dev"), "116:3");
    fs::write(
        laid.root.join("proc/asound/cards"),
        " 1 [MS2109         ]: USB-Audio - MS2109\n    MACROSILICON MS2109 at usb\n",
    )
    .unwrap();

    let sound = laid.machine().sound_nodes();
    assert_eq!(sound.len(), 1);
    assert_eq!((sound[0].device.as_str(), sound[0].name.as_str()), ("hw:CARD=MS2109,DEV=0", "MS2109"));
    assert_eq!(sound[0].port.as_str(), "usb-0000:00:14.0-2");
    let paired: Vec<bool> = laid
        .machine()
        .video_nodes()
        .iter()
        .map(|node| node.sound_device.is_some() && node.sound_device == sound[0].usb_device)
        .collect();
    assert_eq!(paired, [true, false, false]);
}

#[test]
fn a_card_that_only_plays_has_no_capture_device() {
    let laid = Laid::out("playback");
    laid.device("sound", "platform/snd_aloop.0/sound/card0", &[("id", "HDMI1")]);
    for pcm in ["pcmC0D0p", "pcmC0D1c", "pcmC0D1p", "pcmC0D0c", "controlC0"] {
        laid.attribute(&format!("platform/snd_aloop.0/sound/card0/{pcm}/dev"), "116:0");
    }
    laid.device("sound", "platform/hdmi/sound/card1", &[("id", "vc4hdmi0")]);
    laid.attribute("platform/hdmi/sound/card1/pcmC1D0p/dev", "116:9");
    let devices: Vec<_> = laid.machine().sound_nodes().into_iter().map(|node| node.device).collect();
    assert_eq!(devices, ["hw:CARD=HDMI1,DEV=0", "hw:CARD=HDMI1,DEV=1"]);
}

#[test]
fn a_node_that_was_registered_anew_is_another_instance() {
    let laid = Laid::out("instance");
    let path = "platform/vhci_hcd.0/usb3/3-1/3-1:1.0/video4linux/video0";
    laid.device("video4linux", path, &[]);
    let before = laid.machine().video_nodes();
    // Kept under another name, so that the file system cannot give its number out again.
    let device = laid.root.join("sys/devices").join(path);
    fs::rename(&device, device.with_file_name("gone")).unwrap();
    fs::create_dir_all(&device).unwrap();
    let after = laid.machine().video_nodes();
    assert_eq!(before[0].port, after[0].port);
    assert_ne!(before[0].instance, after[0].instance);
}

#[test]
fn descriptors_are_read_of_the_device_that_a_camera_is_part_of() {
    let laid = Laid::out("descriptors");
    let usb = "pci0000:00/0000:00:14.0/usb1/1-2";
    laid.device("video4linux", &format!("{usb}/1-2:1.0/video4linux/video0"), &[("index", "0")]);
    laid.device("video4linux", &format!("{usb}/1-2:1.0/video4linux/video1"), &[("index", "1")]);
    // A streaming interface with one alternate setting of 3 × 1024 bytes.
    let descriptors = [9, 4, 1, 1, 1, 14, 2, 0, 0, 7, 5, 0x81, 5, 0, 0x14, 1];
    fs::write(laid.root.join("sys/devices").join(usb).join("descriptors"), descriptors).unwrap();
    let machine = laid.machine();
    let found: Vec<_> = machine.video_nodes().iter().filter_map(|node| machine.usb_video(node)).collect();
    assert_eq!(found, [Video { alternates: vec![3_072], frames: Vec::new() }]);
}
