# The disk is pulled in the middle of a show, and a second one takes over: recording goes on there within seconds, and
# when the box starts again with both, it is one show.

data=/srv/cuebox-data
second=/srv/cuebox-second

guest() {
  mkdir -p /tmp/disks "$data" "$second"
  plug first "$data"
  plug second "$second"
  write_config
  start_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording" and s["recording"]["files"] == 2'
  sleep 8

  say "the first disk is pulled"
  dmsetup suspend --noflush --nolockfs first && dmsetup reload first --table "0 $sectors error" && dmsetup resume first
  umount -l "$data" || die "umount"
  wait_for 30 "the second disk takes over" is 'any(a["kind"] == "second_disk" for a in s["alerts"])'
  wait_for 30 "recording there" is 's["recording"]["state"] == "recording"'
  sleep 8
  [ ! -e "$data/cuebox.db" ] || die "the show went on below the mount point: $(find "$data")"
  # With the show open, as at a power cut.
  kill -KILL "$cuebox_pid"
  wait "$cuebox_pid"
  kill "$follow_pid" 2>/dev/null

  say "both disks are there again"
  plug first "$data"
  start_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording" and s["recording"]["files"] >= 2'
  sleep 4
  ctl show stop || die "show stop"
  wait_for 60 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  ctl --json shows >/out/shows.json
  python3 -c 'import json; s = json.load(open("/out/shows.json")); assert len(s) == 1, s' || die "not one show: $(cat /out/shows.json)"
  ctl --json shows "$(python3 -c 'import json; print(json.load(open("/out/shows.json"))[0]["id"])')" >/out/show.json
  cp -r "$second" /out/second
  stop_cuebox
}

plug() { # name folder
  local image=/tmp/disks/$1 loop
  [ -f "$image" ] || { truncate -s 96M "$image" && mkfs.ext4 -q -F "$image"; } || die "mkfs"
  dmsetup remove "$1" 2>/dev/null || dmsetup rename "$1" "$1-gone" 2>/dev/null
  loop=$(losetup -f --show "$image") || die "no loop device"
  sectors=$(blockdev --getsz "$loop")
  dmsetup create "$1" --table "0 $sectors linear $loop 0" || die "no device mapper"
  e2fsck -fp "$(device "$1")" >>/out/e2fsck.log 2>&1
  [ $? -le 1 ] || die "the file system is broken"
  mount "$(device "$1")" "$2" || die "mount"
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
[record]
segment_minutes = 0.1
keep_free = "1 MB"
second_dir = "$second"
TOML
  test_camera 1 440
}

check() { # out
  python3 - "$1" <<'PY'
import json, os, subprocess, sys
out = sys.argv[1]
show = json.load(open(f"{out}/show.json"))
ends, lost = {}, 0
for segment in show["segments"]:
    paths = [p for p in (f"{out}/data/{segment['file']}", f"{out}/second/{segment['file']}") if os.path.exists(p)]
    assert len(paths) == 1, (segment, paths)
    told = subprocess.run(("ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0", "-show_entries",
                           "stream=nb_read_packets", "-of", "csv=p=0", paths[0]), capture_output=True, text=True)
    assert told.stdout.strip().strip(",") == str(segment["frames"]) and not told.stderr, (segment, told)
    if segment["track"] == "program":
        lost = max(lost, segment["first_frame"] - ends.get("program", 0))
    ends[segment["track"]] = segment["first_frame"] + segment["frames"]
on_second = sum(os.path.exists(f"{out}/second/{s['file']}") for s in show["segments"])
numbers = [(s["track"], s["number"]) for s in show["segments"]]
assert lost < 5 * show["fps"], f"{lost} frames of the program are missing in one piece"
assert on_second >= 2 and len(set(numbers)) == len(numbers), numbers
frames = [entry["frame"] for entry in show["timeline"]]
assert frames == sorted(frames), frames
print(f"FACT second disk: {len(numbers)} files, {on_second} of them on it; longest gap {lost / show['fps']:.1f} s")
PY
}
