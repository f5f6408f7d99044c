# A USB stick on air is pulled, plugged in again, and freezes: another slot takes over at once, the stick's slot is live
# again afterwards, and the program's recording goes through it all without a lost or doubled picture.

prepare() { # out
  ./stick-pictures "$1"
}

guest() {
  modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0
  v4l2-ctl -d 0 -c horizontal_movement=6
  start_stick
  write_config
  start_cuebox
  wait_for 60 "both slots are live" is 'all(x["state"] == "live" for x in s["slots"])'
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  ctl cut 1 || die "cut 1"
  wait_for 10 "the stick on air" is 's["program"]["on_air"] == 1'

  echo unplug >&"$stick"
  wait_for 20 "another slot on air" is 's["program"]["on_air"] == 2'
  wait_for 10 "the stick's slot is not live" is 's["slots"][0]["state"] != "live"'
  sleep 2
  echo plug >&"$stick"
  wait_for 60 "the stick's slot is live again" is 's["slots"][0]["state"] == "live"'
  becomes 1 's["program"]["on_air"] == 2' || die "it went on air by itself"

  ctl cut 1 || die "cut back to 1"
  wait_for 10 "the stick on air again" is 's["program"]["on_air"] == 1'
  echo freeze >&"$stick"
  wait_for 20 "another slot on air" is 's["program"]["on_air"] == 2'
  echo thaw >&"$stick"
  wait_for 60 "the stick's slot is live again" is 's["slots"][0]["state"] == "live"'
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

write_config() {
  begin_config "640x360"
  cat >>"$config" <<TOML
start_slot = 1
auto_return = "off"
[[slot]]
number = 1
name = "Stick"
source = { kind = "v4l2", port = "usb-1" }
[[slot]]
number = 2
name = "Bridge"
source = { kind = "v4l2", port = "platform-vivid.0-0" }
[record]
keep_free = "50 MB"
TOML
}

check() { # out
  python3 recordings.py "$1/data" program slot-2 || return 1
  python3 losses.py "$1" 1=stick.log
}
