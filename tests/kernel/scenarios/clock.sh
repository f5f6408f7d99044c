# In the middle of a show somebody sets the clock: an hour on, an hour back, twenty years on. Then the box is killed and
# goes on with the show under the wrong date. Nothing is renamed, no file ends, every length is true, and how far the clock
# was moved is on record.

guest() {
  write_config
  start_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording" and s["recording"]["files"] == 3'
  pause 5
  moves "+1 hour" "1 hour forward"
  moves "-1 hour" "1 hour back"
  moves "+20 years" "20 years on"
  files >/out/files-before

  say "the box is killed, and starts under the wrong date"
  kill -KILL "$cuebox_pid"
  wait "$cuebox_pid"
  kill "$follow_pid" 2>/dev/null
  rm -f "$socket"
  start_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  pause 5
  up >/out/ended-at
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

moves() { # by what
  say "the clock is set: $2"
  files >/tmp/files
  date -s "$1" >/dev/null || die "date"
  moved=$((${moved:-0} + 1))
  wait_for 10 "that is on record" moves_on_record $moved
  becomes 5 'any(a["kind"] == "clock_set" for a in s["alerts"])' || die "no alert"
  ctl marker "$2" || die "marker"
  pause 5
  becomes 1 's["recording"]["state"] == "recording"' || die "recording ended"
  files | cmp -s /tmp/files - || die "the files are others than before: $(files)"
}

moves_on_record() { [ "$(cat "$data"/shows/*/timeline.jsonl | grep -c '"clock_set"')" = "$1" ]; }

# What there is below the shows.
files() { (cd "$data/shows" && find . -type f | sort); }

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
[record]
keep_free = "1 MB"
TOML
  test_camera 1 440
  test_camera 2 330
}

check() { # out
  python3 - "$1" <<'PY'
import os, sys
import show
import marks

HOUR, YEARS = 3600, (20 * 365 + 5) * 86400
out = sys.argv[1]
folder = show.only(f"{out}/data")
manifest, timeline = show.read(folder)
fps = manifest["fps"]
first = manifest["origin"] - manifest["origin_frame"]

# The files that were there under the right date have the names that they had.
with open(f"{out}/files-before") as file:
    lost = [line.strip() for line in file if not os.path.exists(f"{out}/data/shows/{line.strip()}")]
assert not lost, lost
assert {segment["number"] for segment in manifest["segments"]} == {1, 2}, "a file ended because of the clock"

# Each picture is the frame that its place says: no clock but the monotonic one has part in it.
pictures = 0
for segment in manifest["segments"]:
    seen = marks.read(os.path.join(folder, segment["file"]), 320, 180)
    assert len(seen) == segment["frames"] and segment["sealed"], segment
    assert marks.missing(segment["track"], seen) == 0, segment
    off = {mark[1] - first - segment["first_frame"] - place for place, mark in enumerate(seen) if mark}
    assert off == {0}, (segment["file"], off)
    pictures += len(seen)

# The manifest's times come from the clock that the show began with, so their difference is the show's true length.
with open(f"{out}/ended-at") as file:
    length = float(file.read()) - manifest["origin"] / fps
told = (manifest["ended"]["unix_ns"] - manifest["started"]["unix_ns"]) / 1e9
assert abs(told - length) < 2, (told, length)
set_by = [entry["offset_ns"] / 1e9 for entry in timeline if entry["kind"] == "clock_set"]
due = (HOUR, -HOUR, YEARS)
assert len(set_by) == 3 and all(abs(a - b) < 2 * 86400 if b == YEARS else abs(a - b) < 2 for a, b in zip(set_by, due)), set_by
offset = manifest["clock_offset"]["offset_ns"] / 1e9
assert abs(offset - sum(set_by)) < 2, offset
said = [entry["text"] for entry in timeline if entry["kind"] == "marker"]
assert said == ["1 hour forward", "1 hour back", "20 years on"], said
frames = [entry["frame"] for entry in timeline]
assert frames == sorted(frames), frames
print(f"FACT {pictures} pictures in their places; show of {length:.1f} s, by the manifest {told:.1f} s; "
      f"offset on record {offset / 86400 / 365.25:.2f} years")
PY
}
