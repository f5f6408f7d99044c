//! What the world does wrong: clear errors, nothing lost.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::harness::{CueBox, Folder, alone, five_cameras, live_slots, program, segments};

fn request(socket: &Path, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: box\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A body that is refused may be cut off by the box while it is sent.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, text)
}

fn command(socket: &Path, body: &str) -> (u16, String) {
    request(socket, "POST", "/api/v1/commands", body.as_bytes())
}

#[test]
fn bad_commands_are_answered_in_words_and_a_flood_of_them_costs_the_show_nothing() {
    let _alone = alone();
    let folder = Folder::new("bad");
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    cuebox.wait_live(5);
    let socket = folder.path().join("control.sock");
    let table: &[(&str, u16)] = &[
        ("{\"verb\":\"cut\",\"slot\":9}", 409),
        ("{\"verb\":\"fly\"}", 400),
        ("{\"verb\":\"cut\"}", 400),
        ("{\"verb\":\"cut\",\"slot\":\"three\"}", 400),
        ("{\"verb\":\"cut\",\"slot\":3,\"speed\":1}", 400),
        ("{", 400),
        ("[]", 400),
        ("{\"verb\":\"take\"}", 409),
    ];
    for (body, code) in table {
        let (got, text) = command(&socket, body);
        assert_eq!(got, *code, "{body}: {text}");
    }
    assert_eq!(command(&socket, &format!("{}{}", "[".repeat(5_000), "]".repeat(5_000))).0, 400);
    assert_eq!(request(&socket, "POST", "/api/v1/commands", b"{\"verb\":\"\xff\xfe\"}").0, 400);
    assert_eq!(request(&socket, "POST", "/api/v1/commands", &vec![b' '; 2_000_000]).0, 413);
    let first = command(&socket, "{\"id\":\"a\",\"verb\":\"cut\",\"slot\":2}");
    assert_eq!(first.0, 200, "{}", first.1);
    let again = command(&socket, "{\"id\":\"a\",\"verb\":\"cut\",\"slot\":2}");
    assert!(again.0 == 200 && again.1.contains("duplicate"), "{}", again.1);
    assert_eq!(command(&socket, "{\"id\":\"a\",\"verb\":\"cut\",\"slot\":3}").0, 409);

    let codes: Vec<u16> = (0..1_000).map(|_| command(&socket, "{\"verb\":\"cut\",\"slot\":2}").0).collect();
    assert!(codes.iter().all(|code| [200, 429].contains(code)), "{codes:?}");
    assert!(codes.contains(&429), "a flood is limited");
    let status = cuebox.wait("the flood is over", 10, |status| live_slots(status) == 5);
    assert_eq!(status["program"]["on_air"], 2);
    let show = cuebox.show();
    cuebox.stop();
    for track in ["program", "slot-1", "slot-2", "slot-3", "slot-4", "slot-5"] {
        let segments = segments(&show, track);
        assert_eq!(segments.len(), 1, "{track} was cut");
        assert_eq!(segments[0].1["repeated"], 0, "{track} lost frames");
    }
}

#[test]
fn check_names_every_problem_with_its_line() {
    let folder = Folder::new("check");
    let file = folder.path().join("bad.toml");
    let text = "[program]\nfps = 31\nsise = \"1280x720\"\n[[slot]]\nnumber = 1\n[[slot]]\nnumber = 1\n\
                [[leg]]\nname = \"a\"\nkind = \"rtmp\"\nurl = \"rtmp://x/y\"\nstream_key_file = \"no-such-file\"\n";
    std::fs::write(&file, text).unwrap();
    let output = Command::new(program()).args(["check", "--config"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for expected in ["bad.toml:2: program.fps", "bad.toml:3: program.sise", "bad.toml:7:", "bad.toml:12:"] {
        assert!(said.contains(expected), "{expected} is not in:\n{said}");
    }
}

#[test]
fn a_bad_file_at_reload_keeps_the_old_configuration_and_says_so() {
    let _alone = alone();
    let folder = Folder::new("reload");
    let cuebox = CueBox::start(&folder, &five_cameras("[record]\nslots = false\n"));
    cuebox.wait_live(5);
    let good = std::fs::read_to_string(cuebox.config()).unwrap();
    std::fs::write(cuebox.config(), "[program]\nfps = 31\n").unwrap();
    let _ = Command::new(program())
        .args(["ctl", "--socket"])
        .arg(folder.path().join("control.sock"))
        .arg("reload")
        .output()
        .unwrap();
    std::fs::write(cuebox.config(), good.replace("Camera 4", "Balcony")).unwrap();
    let status = cuebox.wait("the refusal is told", 10, |status| status["alerts"].to_string().contains("fps"));
    assert_eq!(status["slots"][3]["name"], "Camera 4");
    cuebox.done(&["reload"]);
    cuebox.wait("the good file is taken", 10, |status| status["slots"][3]["name"] == "Balcony");
    cuebox.stop();
}

#[test]
fn a_second_box_on_the_same_data_names_the_first() {
    let _alone = alone();
    let folder = Folder::new("twice");
    let cuebox = CueBox::start(&folder, &five_cameras(""));
    let second = folder.path().join("second.toml");
    let text = std::fs::read_to_string(cuebox.config()).unwrap().replace("control.sock", "second.sock");
    std::fs::write(&second, text).unwrap();
    let output = Command::new(program()).args(["run", "--config"]).arg(&second).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&cuebox.pid().to_string()), "{said}");
    cuebox.stop();
}

#[test]
fn a_missing_element_is_named_with_its_package() {
    let folder = Folder::new("missing");
    let registry = folder.path().join("registry.bin");
    let empty = folder.path().join("plugins");
    std::fs::create_dir_all(&empty).unwrap();
    let environment = [
        ("GST_PLUGIN_SYSTEM_PATH_1_0", empty.to_str().unwrap()),
        ("GST_PLUGIN_PATH_1_0", ""),
        ("GST_REGISTRY_1_0", registry.to_str().unwrap()),
    ];
    let mut cuebox = CueBox::spawn(&folder, &five_cameras(""), &environment);
    assert_eq!(cuebox.wait_exit(30), Some(1));
    let log = cuebox.log();
    assert!(log.contains("compositor") && log.contains("gstreamer1.0-plugins-base"), "{log}");
}
