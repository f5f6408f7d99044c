# An HDMI input (vivid) and a USB stick are on air in turn, and lost in each of five ways, each a number of times and at no
# particular point of a frame: how long the program goes on showing what is gone.
# What the box holds open does not grow with it.
# KERNEL_TEST_LOSSES: how often each way.
losses=${KERNEL_TEST_LOSSES:-3}

prepare() { # out
  echo "losses=$losses" >"$1/kernel/choices"
  ./stick-pictures "$1"
}

guest() {
  local round mode
  source /out/kernel/choices
  modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=3
  start_stick
  write_config
  start_cuebox
  wait_for 60 "all slots are live" is 'all(x["state"] == "live" for x in s["slots"])'
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  # The same moments in each run of the scenario.
  RANDOM=7
  for ((round = 0; round < losses; round++)); do
    for mode in 1 2 3; do
      on_air 2
      signal "${signals[mode]}" $mode
      replaced
      signal signal-back 0
      wait_for 60 "its signal is back" is 's["slots"][1]["state"] == "live"'
    done
    on_air 3
    echo unplug >&"$stick"
    replaced
    echo plug >&"$stick"
    wait_for 60 "it is plugged in" is 's["slots"][2]["state"] == "live"'
    on_air 3
    echo freeze >&"$stick"
    replaced
    echo thaw >&"$stick"
    wait_for 60 "it moves again" is 's["slots"][2]["state"] == "live"'
    # What was closed a moment ago.
    pause 1
    holds >>/out/held.log
  done
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

# This slot is on air, for some part of a frame more than half a second.
on_air() { # slot
  ctl cut "$1" || die "cut $1"
  wait_for 10 "slot $1 on air" is "s['program']['on_air'] == $1"
  pause "0.$((500 + RANDOM % 100))"
}

# File descriptors and threads of the box.
holds() {
  local files=(/proc/"$cuebox_pid"/fd/*) threads=(/proc/"$cuebox_pid"/task/*)
  echo "${#files[@]} ${#threads[@]}"
}

replaced() { wait_for 20 "another slot on air" is 's["program"]["on_air"] == 1'; }

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 1
auto_return = "off"
[record]
keep_free = "50 MB"
TOML
  test_camera 1 440
  cat >>"$config" <<TOML
[[slot]]
number = 2
source = { kind = "v4l2", port = "platform-vivid.0-0" }
audio = "none"
[[slot]]
number = 3
source = { kind = "v4l2", port = "usb-1" }
TOML
}

check() { # out
  python3 losses.py "$1" 2=signal.log 3=stick.log || return 1
  awk '{ files = $1; threads = $2 } NR == 1 { f = files; t = threads }
    END { print "FACT " f " -> " files " files, " t " -> " threads " threads"; exit NR < 2 || files > f + 2 || threads > t + 2 }' \
    "$1/held.log"
}
