# Six USB sticks: five slots and one too many; two are swapped, one is moved, two are alike and have no serial number, one
# freezes, all are pulled at once, and the box is killed and started again. Each stick has a colour, so the recordings say
# which stick each slot had.

colours=(red lime blue yellow magenta cyan)

prepare() { # out
  local n
  for n in 0 1 2 3 4 5; do
    mkdir -p "$1/pictures/${colours[n]}"
    ffmpeg -v error -f lavfi -i "color=${colours[n]}:size=320x180:rate=15" -f lavfi -i color=white:size=40x40:rate=15 \
      -filter_complex "overlay=x='mod(n*8,280)':y=10" -frames:v 35 -q:v 5 "$1/pictures/${colours[n]}/%03d.jpg"
  done
}

guest() {
  modprobe vhci-hcd
  modprobe uvcvideo
  cp -r /out/pictures /tmp/pictures
  export UVC_WIDTH=320 UVC_HEIGHT=180
  declare -A hand
  stick A red SIM-A
  stick B lime SIM-B
  stick C blue SIM-C
  # Two that nothing tells apart.
  stick D yellow none
  stick E magenta none
  stick F cyan SIM-F
  write_config
  start_cuebox
  plug A 1
  live 1
  plug B 2
  live 1 2
  plug C 3
  live 1 2 3
  plug D 4
  live 1 2 3 4
  plug E 5
  live 1 2 3 4 5
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  shows A B C D E

  say "a sixth stick"
  plug F 6
  wait_for 10 "the sixth is shown" is '[c["port"] for c in s["spare"]] == ["usb-vhci_hcd.0-6"]'
  shows A B C D E

  say "two are swapped, of which one was on air"
  becomes 1 's["program"]["on_air"] == 1' || die "slot 1 is not on air"
  unplug A B
  wait_for 10 "both are gone" is 'all(x["state"] == "empty" for x in s["slots"][:2])'
  plug A 2
  plug B 1
  live 1 2 3 4 5
  at 1 2
  at 2 1
  wait_for 60 "slot 1 is on air again" is 's["program"]["on_air"] == 1'
  shows A B C D E

  say "one is moved to a free port"
  unplug B
  wait_for 10 "it is gone" is 's["slots"][1]["state"] == "empty"'
  plug B 7
  live 1 2 3 4 5
  at 2 7
  shows A B C D E

  say "one that is configured with its port is moved: its slot waits, and the port shows whatever is there"
  unplug C
  wait_for 10 "it is gone" is 's["slots"][2]["state"] == "empty"'
  plug C 8
  wait_for 10 "the new port is told" is 'any(a["kind"] == "camera_moved" and "vhci_hcd.0-8" in a["text"] for a in s["alerts"])'
  shows A B - D E
  unplug C B
  wait_for 10 "both are gone" is 'all(x["state"] == "empty" for x in s["slots"][1:3])'
  plug B 3
  live 1 3 4 5
  shows A - B D E
  unplug B
  wait_for 10 "it is gone" is 's["slots"][2]["state"] == "empty"'
  plug B 7
  plug C 3
  live 1 2 3 4 5
  wait_for 10 "nothing is said of moving any more" is 'not any(a["kind"] == "camera_moved" for a in s["alerts"])'
  shows A B C D E

  say "the two that are alike are swapped: the port alone decides"
  unplug D E
  wait_for 10 "both are gone" is 'all(x["state"] == "empty" for x in s["slots"][3:])'
  plug D 5
  plug E 4
  live 1 2 3 4 5
  shows A B C E D

  say "the one on air freezes, and is frozen when it is opened again"
  ctl cut 1 || die "cut 1"
  wait_for 10 "slot 1 on air" is 's["program"]["on_air"] == 1'
  echo freeze >&"${hand[A]}"
  wait_for 20 "another slot on air" is 's["program"]["on_air"] != 1'
  wait_for 60 "it was opened again" opened_while_frozen
  shows - B C E D
  echo thaw >&"${hand[A]}"
  live 1 2 3 4 5
  ctl cut 1 || die "cut 1"
  shows A B C E D

  say "all are pulled at once, and plugged in again in another order"
  unplug A B C D E F
  wait_for 20 "all are gone" is 'all(x["state"] == "empty" for x in s["slots"]) and s["program"]["on_air"] is None'
  shows - - - - -
  plug F 6
  plug D 5
  plug E 4
  plug C 3
  plug B 7
  plug A 2
  live 1 2 3 4 5
  wait_for 60 "the program has slot 1 again" is 's["program"]["on_air"] == 1'
  shows A B C E D

  say "the box is killed, and two are swapped meanwhile"
  # What was just shown has to be on the disk: a second may be lost.
  pause 1.5
  kill -KILL "$cuebox_pid"
  wait "$cuebox_pid"
  kill "$follow_pid" 2>/dev/null
  rm -f "$socket"
  unplug A B
  plug A 7
  plug B 2
  start_cuebox
  live 1 2 3 4 5
  at 1 7
  at 2 2
  wait_for 60 "slot 1 on air" is 's["program"]["on_air"] == 1'
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  wait_for 10 "the sixth is left alone" is '[c["port"] for c in s["spare"]] == ["usb-vhci_hcd.0-6"]'
  shows A B C E D
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  stop_cuebox
}

# stick NAME COLOUR SERIAL: one more stick, not plugged in yet.
stick() {
  local fd
  mkfifo "/tmp/stick-$1"
  exec {fd}<>"/tmp/stick-$1"
  hand[$1]=$fd
  python3 /out/kernel/usb_stick.py 0 "/tmp/pictures/$2" 15 "$3" <"/tmp/stick-$1" >"/out/stick-$1.log" 2>&1 &
}

# plug NAME PLACE: places are counted from 1, as the kernel prints them.
plug() { echo "plug $(($2 - 1))" >&"${hand[$1]}"; }

unplug() {
  local name
  for name; do echo unplug >&"${hand[$name]}"; done
}

live() { # slot…
  local list
  printf -v list '%s,' "$@"
  wait_for 60 "live: $*" is "all(s['slots'][n - 1]['state'] == 'live' for n in [$list])"
}

at() { # slot place
  wait_for 5 "slot $1 is the stick at place $2" is "(s['slots'][$1 - 1]['device'] or '').endswith('(usb-vhci_hcd.0-$2)')"
}

# Opened twice since it froze: it was closed, opened, found frozen, and tried again.
opened_while_frozen() { [ "$(awk '$2 == "freeze" { n = 0 } $2 == "opened" { n++ } END { print n }' /out/stick-A.log)" -ge 2 ]; }

# shows STICK…: what each slot has for the next seconds, which the recordings are held against. "-": none.
shows() {
  local from
  # What was just seen has to be in the files.
  pause 0.5
  from=$(up)
  pause 2
  echo "$from $(up) $*" >>/out/shown.log
}

write_config() {
  begin_config "320x180"
  cat >>"$config" <<TOML
start_slot = 1
steady_s = 1
[record]
keep_free = "50 MB"
TOML
  local n
  for n in 1 2 3 4 5; do
    cat >>"$config" <<TOML
[[slot]]
number = $n
source = { kind = "v4l2"$([ $n != 3 ] || echo ', port = "usb-vhci_hcd.0-3"') }
TOML
  done
}

check() { # out
  grep freeze "$1/stick-A.log" >"$1/frozen.log"
  python3 losses.py "$1" 1=frozen.log || return 1
  python3 sticks.py "$1"
}
