# Five cameras (vivid) and a sound card (aloop): all live, recorded without a lost or doubled picture while ctl cuts
# between them, and sealed when the box is stopped.

seconds=20
size=${KERNEL_TEST_SIZE:-640x360}

# Something to hear: made here, because making it in the guest would cost a tenth of it.
prepare() { # out
  echo "size=$size" >"$1/kernel/choices"
  ffmpeg -v error -f lavfi -i sine=frequency=440:sample_rate=48000:duration=150 -af volume=12dB -ac 2 "$1/tone.wav"
}

guest() {
  source /out/kernel/choices
  local n cuts=0 end slot
  modprobe vivid n_devs=5 node_types=0x1,0x1,0x1,0x1,0x1 num_inputs=1,1,1,1,1 input_types=0,0,0,0,0
  modprobe snd-aloop index=0 enable=1 pcm_substreams=1 id=HDMI1
  # Neighbours show different patterns, which move: a doubled picture is one that equals the one before.
  for n in 0 1 2 3 4; do v4l2-ctl -d $n -c test_pattern=$((n % 2 * 4)),horizontal_movement=6; done
  # The player decides the rate and the format of both of the card's sides.
  aplay -q -D hw:HDMI1,0,0 /out/tone.wav &
  write_config
  start_cuebox
  wait_for 60 "all five slots are live" is 'sum(x["state"] == "live" for x in s["slots"]) == 5'
  ctl status --json >/out/status.json || die "ctl status"
  python3 -c 'import json; assert [s["state"] for s in json.load(open("/out/status.json"))["slots"]] == ["live"] * 5' ||
    die "ctl status does not show five live slots"
  ctl show start "Five cameras" || die "show start"
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'

  end=$((SECONDS + seconds))
  while [ $SECONDS -lt $end ]; do
    slot=$((cuts % 5 + 1))
    ctl cut $slot || die "cut $slot"
    wait_for 10 "slot $slot on air" is "s['program']['on_air'] == $slot"
    cuts=$((cuts + 1))
    pause 0.7
  done
  echo "FACT $cuts cuts in $seconds s, each seen on air"
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

write_config() {
  begin_config "$size"
  cat >>"$config" <<TOML
start_slot = 1
[record]
keep_free = "50 MB"
[show]
autostart = false
TOML
  local n
  for n in 1 2 3 4 5; do
    cat >>"$config" <<TOML
[[slot]]
number = $n
name = "Camera $n"
source = { kind = "v4l2", port = "platform-vivid.0-$((n - 1))" }
audio = "$([ $n = 1 ] && echo hw:CARD=HDMI1,DEV=1 || echo none)"
TOML
  done
}

check() { # out
  python3 recordings.py "$1/data" program slot-1:heard slot-2 slot-3 slot-4 slot-5 || return 1
  python3 cuts.py "$1/data"
}
