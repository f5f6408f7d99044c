# The box as its shipped unit has it, under systemd, udev and logind as they are on a board, on a disk: its loop stands still
# and the service manager starts it anew; the service manager itself stands still and the watchdog resets the machine; the
# power button switches it off. The show goes on each time, and its files are sealed at the end.

state=/var/lib/cuebox

prepare() { # out
  truncate -s 256M "$1/disk"
  mkfs.ext4 -q -F "$1/disk"
  mkdir "$1/unit"
  cp ../../systemd/* "$1/unit/"
  cp service_init "$1/init"
}

guest() {
  local boot
  echo boot >>/out/boots
  boot=$(wc -l </out/boots)
  modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0
  case $boot in
    1) loop_stands_still && machine_stands_still ;;
    2) button_is_pressed ;;
    *) die "it was started $boot times" ;;
  esac
}

loop_stands_still() {
  records
  python3 -c 'import json, sys; print(json.loads(open("/tmp/status.jsonl").readlines()[-1])["show"]["id"])' >/out/show-id
  # The driver's node belongs to root and its group: the unit's user has it by udev.
  becomes 20 's["slots"][1]["state"] == "live"' || die "the camera is not to be had"
  pause 5
  say "the loop stands still"
  up >/out/loop-stood
  ctl marker "fault: loop" >/dev/null 2>&1 &
  wait_for 30 "the service manager started it anew" restarted
  journalctl -u cuebox --no-pager | grep -q "Watchdog timeout" || die "it was not for the watchdog: $(journalctl -u cuebox --no-pager | tail -5)"
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  same_show
  pause 5
}

machine_stands_still() {
  [ "$(cat /sys/class/watchdog/watchdog0/state 2>/dev/null)" = active ] || die "nobody feeds the watchdog"
  say "the service manager stands still"
  # A clock with a battery goes on.
  echo $(($(date +%s) + 30)) >/out/clock
  python3 - <<'PY' &
import ctypes, time
# Seized and interrupted by a debugger, process 1 runs no more.
libc = ctypes.CDLL(None, use_errno=True)
for request in (0x4206, 0x4207):
    assert libc.ptrace(request, 1, None, None) == 0, ctypes.get_errno()
time.sleep(600)
PY
  # Until the reset; each line is written through.
  for _ in {1..600}; do
    up >>/out/beats
    pause 0.1
  done
  die "nothing reset the machine"
}

button_is_pressed() {
  records
  same_show
  pause 5
  mkfifo /tmp/finger
  python3 - <<'PY' &
import sys, time
sys.path.insert(0, "/out/kernel")
from hid_devices import Keys
POWER = 116
button = Keys("Power Button", "cuebox/power", [POWER])
# Until somebody writes there.
open("/tmp/finger").read()
button.key(POWER, True)
button.key(POWER, False)
time.sleep(600)
PY
  wait_for 20 "logind watches the button" watched
  say "the power button is pressed"
  up >/out/pressed
  echo >/tmp/finger
  pause 60
  die "the power button does nothing: $(journalctl -u systemd-logind --no-pager | tail -5)"
}

records() {
  wait_for 60 "the service is active" active
  follow_cuebox
  wait_for 60 "recording" is 's["recording"]["state"] == "recording" and s["program"]["on_air"] == 1'
}

active() { [ "$(systemctl is-active cuebox)" = active ]; }

watched() { journalctl -u systemd-logind --no-pager | grep -q "Watching system buttons.*Power Button"; }

restarted() { [ "$(systemctl show -p NRestarts --value cuebox)" = 1 ] && active; }

same_show() { becomes 20 "s['show']['id'] == '$(cat /out/show-id)'" || die "it is another show"; }

write_config() {
  data=$state begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 1
[[slot]]
number = 2
source = { kind = "v4l2", port = "platform-vivid.0-0" }
[record]
keep_free = "1 MB"
TOML
  test_camera 1 440
}

check() { # out
  e2fsck -fn "$1/disk" >"$1/e2fsck.log" 2>&1 || { tail -3 "$1/e2fsck.log"; return 1; }
  mkdir -p "$1/data"
  debugfs -R "rdump /shows $1/data" "$1/disk" 2>/dev/null
  python3 service_judge.py "$1"
}
