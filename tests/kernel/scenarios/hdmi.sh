# An HDMI input (vivid) on air loses its signal in each way, gets it back, and receives another mode; its EDID is set by
# the box, and a camera beside it has its controls set. Another slot takes over each time, and its recording is whole.

guest() {
  local mode
  # The first is an HDMI input, the second a webcam that moves.
  modprobe vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=3,0
  v4l2-ctl -d 1 -c horizontal_movement=6
  write_config
  start_cuebox
  wait_for 60 "both slots are live" is 'all(x["state"] == "live" for x in s["slots"])'
  v4l2-ctl -d 0 --get-edid=format=raw,file=/out/edid.bin >/dev/null 2>&1 || die "no EDID can be read"
  v4l2-ctl -d 1 -C brightness >/out/brightness.txt
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  for mode in 1 2 3; do
    ctl cut 1 || die "cut 1"
    wait_for 10 "the HDMI input on air" is 's["program"]["on_air"] == 1'
    signal "${signals[mode]}" "$mode"
    wait_for 20 "another slot on air" is 's["program"]["on_air"] == 2'
    wait_for 5 "kind $mode is told" is "s['slots'][0]['state'] == 'no_signal' and (s['slots'][0]['why'] or '').startswith('${signals[mode]//-/ }')"
    signal signal-back 0
    wait_for 20 "the HDMI input is live again" is 's["slots"][0]["state"] == "live"'
  done
  ctl cut 1 || die "cut 1"
  wait_for 10 "the HDMI input on air" is 's["program"]["on_air"] == 1'
  # Another mode: 4 is the one that `dv_timings` names, here 640x480p59.94.
  v4l2-ctl -d 0 -c dv_timings=0
  signal other-mode 4
  wait_for 20 "another slot on air" is 's["program"]["on_air"] == 2'
  wait_for 30 "the HDMI input is live in its new mode" is 's["slots"][0]["state"] == "live"'
  ctl cut 1 || die "cut 1 in its new mode"
  wait_for 10 "the new mode on air" is 's["program"]["on_air"] == 1'
  # Its picture is to be in the recording.
  pause 2
  "$cuebox" devices --json --config "$config" >/out/devices.json || die "cuebox devices"
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 1
auto_return = "off"
[[slot]]
number = 1
name = "HDMI"
source = { kind = "v4l2", port = "platform-vivid.0-0" }
audio = "none"
[[slot]]
number = 2
name = "Webcam"
source = { kind = "v4l2", port = "platform-vivid.0-1", controls = { brightness = 120 } }
audio = "none"
[record]
keep_free = "50 MB"
TOML
}

check() { # out
  python3 recordings.py "$1/data" slot-2 || return 1
  python3 losses.py "$1" 1=signal.log || return 1
  python3 signals.py "$1"
}
