# What scenarios use inside the guest. Sourced there before the scenario's guest().

data=/tmp/cuebox-data
config=/tmp/cuebox.toml
socket=/run/cuebox/control.sock
cuebox=/tmp/cuebox

setup() {
  set -u
  # What drivers complain of stays in the ring: the console is for the scenario.
  dmesg -n 1
  mkdir -p "$data" /run/cuebox
  mkfifo /tmp/never /tmp/questions /tmp/answers
  # For reading and writing, so that opening waits for nobody.
  exec 5<>/tmp/never 6<>/tmp/questions 7<>/tmp/answers
  # Into memory: on this machine the binary may be built anew meanwhile.
  cp /out/cuebox "$cuebox"
  cp /out/gst-registry.bin /tmp/gst-registry.bin
  export GST_REGISTRY=/tmp/gst-registry.bin CUEBOX_SOCKET=$socket
}

# Seconds since boot: the clock that frames are counted on.
up() {
  local now
  read -r now _ </proc/uptime
  echo "$now"
}

# pause SECONDS: without a process, as starting one takes milliseconds of a clock that does not wait.
pause() { read -rt "$1" -u 5 || true; }

say() { echo "[$(up)] $*"; }

# Ends the scenario; what the box wrote until then (its journal above all) is handed over.
die() {
  say "FAILED: $*"
  hand_over
  exit 1
}

# wait_for SECONDS WHAT COMMAND…: runs COMMAND until it succeeds; fails the scenario after SECONDS.
wait_for() {
  local seconds=$1 what=$2 end
  shift 2
  if [ "$1" = is ]; then
    becomes "$seconds" "$2" || die "$what: not within $seconds s"
    say "$what"
    return
  fi
  end=$((SECONDS + seconds))
  until "$@"; do
    [ $SECONDS -le $end ] || die "$what: not within $seconds s"
    pause 0.1
  done
  say "$what"
}

# begin_config SIZE: what all configurations begin with. The scenario appends, first what else there is of [program].
begin_config() {
  cat >"$config" <<TOML
[box]
id = "kernel-test"
data_dir = "$data"
[http]
socket = "$socket"
[program]
size = "$1"
fps = 15
video_bitrate = "1 Mbit/s"
TOML
}

# test_camera NUMBER HZ: a slot with the test picture and its marks, and a tone of this pitch.
test_camera() {
  cat >>"$config" <<TOML
[[slot]]
number = $1
source = { kind = "test", marks = true, tone_hz = $2 }
TOML
}

ctl() { "$cuebox" ctl --socket "$socket" "$@"; }

# becomes SECONDS PYTHON-EXPRESSION: waits until it holds of the newest status document, `s`.
becomes() {
  local answer
  printf '%s\t%s\n' "$1" "$2" >&6
  # Longer than the answer can take: the reader asks the box with a limit of its own.
  read -rt $(($1 + 20)) -u 7 answer && [ "$answer" = yes ]
}

# Starts the box, and its reader.
start_cuebox() {
  # As its service unit would: a person's commands must never take the frames' time.
  nice -n -10 "$cuebox" run --config "$config" >/out/cuebox.log 2>&1 &
  cuebox_pid=$!
  follow_cuebox
}

# Starts a reader beside the box, which notes every change of its status with the time.
follow_cuebox() {
  wait_for 60 "the control socket is there" test -S "$socket"
  : >/tmp/status.jsonl
  python3 /out/kernel/follow_status.py "$socket" /tmp/answers </tmp/questions >/tmp/status.jsonl \
    2>/out/follow_status.log &
  follow_pid=$!
  wait_for 60 "the status can be read" test -s /tmp/status.jsonl
}

# Stops it as an operator would, and hands its files to the host.
stop_cuebox() {
  local before
  before=$(up)
  kill -INT "$cuebox_pid"
  # Five seconds are promised.
  wait_for 5 "the box ended" eval "! kill -0 $cuebox_pid 2>/dev/null"
  wait "$cuebox_pid" || die "the box ended with status $?"
  say "the box ended $(awk -v a="$before" '{ printf "%.1f", $1 - a }' /proc/uptime) s after SIGINT"
  kill "$follow_pid" 2>/dev/null
  hand_over
}

hand_over() {
  dmesg >/out/dmesg.log
  cp /tmp/status.jsonl /out/ 2>/dev/null
  cp -r "$data" /out/data
  # What a scenario gathered for its check.
  [ ! -d /tmp/panels ] || cp -r /tmp/panels /out/panels
}

# What vivid's first device receives as an HDMI input, by the number of `dv_timings_signal_mode`.
signals=("" no-signal no-lock out-of-range)

# Sets what it receives, and notes when.
signal() { # what mode
  echo "$(up) $1" >>/out/signal.log
  v4l2-ctl -d 0 -c dv_timings_signal_mode=$2 || die "the signal cannot be set to $2"
}

# Plugs in a USB stick with the pictures of stick-pictures; it takes its commands on the descriptor in `stick`.
start_stick() {
  modprobe vhci-hcd
  modprobe uvcvideo
  cp -r /out/pictures /tmp/pictures
  mkfifo /tmp/stick
  exec {stick}<>/tmp/stick
  python3 /out/kernel/usb_stick.py 0 /tmp/pictures 15 </tmp/stick >/out/stick.log &
  echo plug >&"$stick"
}

# The node of a device-mapper device: without udevd nobody makes one.
device() {
  dmsetup mknodes "$1" >/dev/null 2>&1
  echo "/dev/mapper/$1"
}
