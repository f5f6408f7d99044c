# Three sound cards (aloop) whose clocks are 1 % fast, 1 % slow, and right: the recorded sound stays with its picture for a
# minute. The third is on air when it is taken out, and put back: silence, no stall, and sound again.
#
# In a clock that waits for the programs a card's error is exactly what was set, and what is measured is what the box does
# about it: how a busy machine delays its threads is not in it.

guest() {
  modprobe vivid n_devs=3 node_types=0x1,0x1,0x1 num_inputs=1,1,1 input_types=0,0,0
  modprobe snd-aloop index=0,1,2 enable=1,1,1 pcm_substreams=1,1,1 id=FAST,SLOW,TRUE
  local n
  for n in 0 1 2; do v4l2-ctl -d $n -c horizontal_movement=6; done
  # In hundred-thousandths of the time that a second of the card takes. Both ends of a cable have the number of the end
  # that listens.
  shift_of FAST 99010
  shift_of SLOW 101010
  play FAST 300
  play SLOW 400
  play TRUE 500
  write_config
  start_cuebox
  wait_for 60 "all three slots are live" is 'all(x["state"] == "live" for x in s["slots"])'
  wait_for 20 "all three are heard" is "$(heard 1 2 3)"
  ctl show start "Sound" || die "show start"
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  wait_for 60 "the drift is known" is 'all(abs((s["slots"][n]["audio_drift_ppm"] or 0) - due) < 1000 for n, due in ((0, 10_000), (1, -10_000)))'
  pause 10

  say "the card on air is taken out"
  becomes 1 's["program"]["on_air"] == 3' || die "slot 3 is not on air"
  up >/out/card-gone.log
  # It returns when nobody has the card open any more.
  echo snd_aloop.2 >/sys/bus/platform/drivers/snd_aloop/unbind &
  wait_for 20 "that is told" is 'any(a["kind"] == "sound_lost" for a in s["alerts"])'
  wait_for 10 "nobody holds it" gone TRUE
  pause 6
  becomes 1 's["program"]["on_air"] == 3 and s["slots"][2]["state"] == "live"' || die "the picture went with it"
  up >>/out/card-gone.log
  echo snd_aloop.2 >/sys/bus/platform/drivers/snd_aloop/bind || die "bind"
  # Both ends, or the box's end decides the cable's format.
  play TRUE 500 again
  wait_for 20 "it is heard again" is "$(heard 3)"
  wait_for 10 "nothing is said of it any more" is 'not any(a["kind"] == "sound_lost" for a in s["alerts"])'
  pause 25
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

shift_of() { # card time
  amixer -q -c "$1" cset "iface=PCM,device=1,name='PCM Rate Shift 100000'" "$2" || die "the clock of $1 cannot be shifted"
}

play() { # card hz [which time]
  python3 /out/kernel/card_player.py "$1" "$2" "/out/$1${3:+-$3}.log" 2>>/out/players.log &
}

gone() { [ ! -e "/proc/asound/$1" ]; }

# The tone alone is at -20 dBFS.
heard() { # slot…
  local list
  printf -v list '%s,' "$@"
  echo "all(max(s['slots'][n - 1]['audio_dbfs'] or [-99]) > -40 for n in [$list])"
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 3
[record]
keep_free = "50 MB"
[show]
autostart = false
TOML
  local n=0 card
  for card in FAST SLOW TRUE; do
    n=$((n + 1))
    cat >>"$config" <<TOML
[[slot]]
number = $n
source = { kind = "v4l2", port = "platform-vivid.0-$((n - 1))" }
audio = "hw:CARD=$card,DEV=1"
TOML
  done
}

check() { # out
  python3 recordings.py "$1/data" program slot-1:heard slot-2:heard slot-3:heard || return 1
  python3 sound_judge.py "$1"
}
