# What scenarios use inside the guest. Sourced there before the scenario's guest().

data=/tmp/cuebox-data
config=/tmp/cuebox.toml
socket=/run/cuebox/control.sock
cuebox=/tmp/cuebox

setup() {
  set -u
  mkdir -p "$data" /run/cuebox
  # From the share into memory: the share is slow, and the binary is read page by page.
  cp /out/cuebox "$cuebox"
  cp /out/gst-registry.bin /tmp/gst-registry.bin
  export GST_REGISTRY=/tmp/gst-registry.bin CUEBOX_SOCKET=$socket
}

# Seconds since boot: the clock that frames are counted on.
up() { cut -d' ' -f1 /proc/uptime; }

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
  end=$(awk -v s="$seconds" '{ print $1 + s }' /proc/uptime)
  until "$@"; do
    awk -v end="$end" '{ exit !($1 > end) }' /proc/uptime && die "$what: not within $seconds s"
    sleep 0.1
  done
  say "$what"
}

ctl() { "$cuebox" ctl --socket "$socket" "$@"; }

# becomes SECONDS PYTHON-EXPRESSION: waits until it holds of the newest status document, `s`. One process for all of the
# wait: starting Python costs the guest as much as encoding several frames.
becomes() { python3 -c "
import json, sys, time
end = time.monotonic() + $1
while time.monotonic() < end:
    with open('/tmp/status.jsonl') as lines:
        newest = lines.readlines()[-1:]
    if newest and newest[0].endswith('\\n'):
        s = json.loads(newest[0])
        if $2:
            sys.exit(0)
    time.sleep(0.1)
sys.exit(1)"; }

# Starts the box, and beside it a reader that notes every change of its status with the time.
start_cuebox() {
  # As its service unit would: a person's commands must never take the frames' time.
  nice -n -10 "$cuebox" run --config "$config" >/out/cuebox.log 2>&1 &
  cuebox_pid=$!
  wait_for 60 "the control socket is there" test -S "$socket"
  : >/tmp/status.jsonl
  python3 /out/kernel/follow_status.py "$socket" >/tmp/status.jsonl 2>/out/follow_status.log &
  follow_pid=$!
  wait_for 60 "the status can be read" test -s /tmp/status.jsonl
}

# Stops it as an operator would, and hands its files to the host.
stop_cuebox() {
  local before
  before=$(up)
  kill -INT "$cuebox_pid"
  # Five seconds are promised; the guest is several times slower than a board.
  wait_for 15 "the box ended" eval "! kill -0 $cuebox_pid 2>/dev/null"
  wait "$cuebox_pid" || die "the box ended with status $?"
  say "the box ended $(awk -v a="$before" '{ printf "%.1f", $1 - a }' /proc/uptime) s after SIGINT"
  kill "$follow_pid" 2>/dev/null
  hand_over
}

hand_over() {
  cp /tmp/status.jsonl /out/ 2>/dev/null
  cp -r "$data" /out/data
}
