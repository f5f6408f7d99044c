use super::*;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cuebox-config-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const WITH_SECRET: &str = r#"
[box]
data_dir = "data"
[[leg]]
name = "backup"
kind = "rtmp"
url = "rtmp://127.0.0.1/live"
stream_key_file = "key"
"#;

#[test]
fn paths_and_secrets_are_found_beside_the_file() {
    let folder = Folder::new("beside");
    folder.write("key", "hunter2\n");
    let path = folder.write("cuebox.toml", WITH_SECRET);
    let loaded = Loaded::load(Some(path)).unwrap();
    assert_eq!(loaded.config.data_dir, folder.0.join("data").to_str().unwrap());
    let config::LegTarget::Rtmp(config::RtmpTarget::Fixed { stream_key, .. }) = &loaded.config.legs[0].target else {
        panic!("a fixed address")
    };
    assert_eq!(stream_key.as_ref().unwrap().reveal(), "hunter2");
    assert_eq!(loaded.reload().unwrap().config, loaded.config);
}

#[test]
fn every_problem_is_one_line_with_file_and_line() {
    let folder = Folder::new("problems");
    let path = folder.write("bad.toml", format!("[program]\nfps = 31\n{WITH_SECRET}"));
    let error = Loaded::load(Some(path.clone())).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with(&format!("{}:2: program.fps: ", path.display())), "{error}");
    assert!(lines[1].starts_with(&format!("{}:10: leg.stream_key_file: ", path.display())), "{error}");
    assert!(lines[1].contains("there is no file"), "{error}");
    assert!(Loaded::load_without_secrets(Some(path)).unwrap_err().to_string().lines().count() == 1);
}

#[test]
fn files_that_are_no_configuration_are_told_apart() {
    let folder = Folder::new("files");
    let table = [
        (folder.0.join("none.toml"), "there is no such file"),
        (folder.0.clone(), "cannot be read"),
        (folder.write("binary.toml", b"[box]\nid = \"\xff\"\n"), "binary.toml:2: file: holds bytes that are no text"),
        (folder.write("long.toml", vec![b'#'; 2_000_000]), "longer than a configuration"),
    ];
    for (path, why) in table {
        let error = Loaded::load(Some(path)).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn secrets_that_cannot_be_one_are_refused_without_their_text() {
    let folder = Folder::new("secrets");
    for (content, why) in
        [(&b"\n"[..], "is empty"), (b"\xff\xfe", "no text"), (&vec![b'x'; 100_000], "longer than a secret")]
    {
        let path = folder.write("key", content);
        let error = read_secret(&folder.0, path.to_str().unwrap()).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_credential_stands_for_a_file_beside_the_configuration_only() {
    let (folder, credentials) = (Folder::new("etc"), Folder::new("credentials"));
    let credential_path = credentials.write("key", "from systemd");
    let find = |path: &Path| credential(&folder.0, path, Some(credentials.0.clone()));
    assert_eq!(find(&folder.0.join("key")), Some(credential_path));
    assert_eq!(find(&folder.0.join("other")), None);
    assert_eq!(find(&folder.0.join("deeper/key")), None);
    assert_eq!(credential(&folder.0, &folder.0.join("key"), None), None);
}

fn patch(fields: serde_json::Value) -> Patch {
    Patch::from_json(&fields).unwrap()
}

#[test]
fn a_patch_is_kept_beside_the_recordings_and_counts_at_the_next_start() {
    let folder = Folder::new("patched");
    folder.write("key", "hunter2\n");
    let path = folder.write("cuebox.toml", WITH_SECRET);
    let loaded = Loaded::load(Some(path.clone())).unwrap();
    let overrides = folder.0.join("data/overrides.toml");
    let wanted =
        patch(serde_json::json!({"program": {"fps": 25}, "leg": [{"name": "backup", "stream_key_file": "other"}]}));
    let why = loaded.patch(&wanted, false).unwrap_err();
    assert!(why.starts_with("leg.stream_key_file: there is no file"), "{why}");
    assert!(!overrides.exists());
    folder.write("other", "hunter3\n");
    assert_eq!(loaded.patch(&wanted, true).unwrap().program.fps, 25);
    assert!(!overrides.exists());
    let patched = loaded.patch(&wanted, false).unwrap();
    assert_eq!(Loaded::load(Some(path.clone())).unwrap().config, patched);
    assert_eq!(loaded.reload().unwrap().config, patched);

    // The file was edited and does not go with them any more: it counts alone, and a patch that mends it is taken.
    folder.write("cuebox.toml", "[box]\ndata_dir = \"data\"\n");
    assert_eq!(Loaded::load(Some(path.clone())).unwrap().config.program.fps, 30);
    let mended = loaded.patch(&patch(serde_json::json!({ "leg": null })), false).unwrap();
    assert_eq!((mended.program.fps, mended.legs.len()), (25, 0));
    assert!(fs::read_to_string(folder.0.join("data/overrides.before.toml")).unwrap().contains("backup"));
}
