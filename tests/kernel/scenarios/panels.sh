# Every panel that is not a terminal, on the kernel's own driver: switches and LEDs on pins (gpio-sim), a number pad
# (uinput), a Stream Deck (uhid) and a microcontroller on a USB serial line (f_acm over dummy_hcd). Each cuts, each shows
# it, each goes and comes back. The pictures of the Stream Deck and the recording are judged on the host.

# Presses of each kind that are timed.
presses=${KERNEL_TEST_PRESSES:-125}
# Five test pictures, which is what presses are timed on.
size=${KERNEL_TEST_SIZE:-640x360}
panels=/tmp/panels

prepare() { # out
  echo "presses=$presses size=$size" >"$1/kernel/choices"
}

guest() {
  source /out/kernel/choices
  local kind slot n=0 before
  load_drivers
  mkdir -p $panels
  mkfifo /tmp/hands
  nice -n -15 python3 /out/kernel/panels.py $panels </tmp/hands >/out/panels.log 2>&1 &
  exec 9>/tmp/hands
  hands "pins $pins"
  hands "pad plug"
  hands "keyboard plug"
  hands "deck plug 0080 15"
  write_config
  # When each frame leaves its encoder, which the judge counts presses to.
  export CUEBOX_LOG=info,cuebox::encoded=trace
  start_cuebox
  wait_for 60 "all five slots are live" is 'sum(x["state"] == "live" for x in s["slots"]) == 5'
  plug_serial
  wait_for 20 "four panels are connected" is 'sum(x["state"] == "connected" for x in s["panel"]) == 4'
  wait_for 60 "recording" is 's["recording"]["state"] == "recording"'
  taken "pad=True keyboard=False"

  for kind in pins pad deck serial; do
    n=$((n + 1))
    cut_by $kind $((n + 1))
  done
  before=$(presses_of gpio)
  hands "pins press 0 bounce"
  wait_for 10 "a bouncing switch put 1 on air" is 's["program"]["on_air"] == 1'
  # The count is told a little later than the cut.
  wait_for 5 "a bouncing switch is pressed" pressed_more gpio "$before"
  pause 0.5
  [ "$(presses_of gpio)" = $((before + 1)) ] || die "a bouncing switch was $(($(presses_of gpio) - before)) presses"

  timed_presses
  come_and_go
  # The last cut's frames have to get through the encoder.
  pause 1
  ctl show stop || die "show stop"
  wait_for 30 "the show is over" is 's["show"] is None and s["recording"]["state"] == "idle"'
  "$cuebox" devices --json --config "$config" >/out/devices.json || die "cuebox devices"
  stop_cuebox
  wait_for 5 "the deck is dark" shows deck " brightness=0 "
  taken "pad=False keyboard=False"
  exec 9>&-
  cp $panels/{log.jsonl,deck} /out/panels/
}

load_drivers() {
  local chip sim=/sys/kernel/config/gpio-sim/panel gadget=/sys/kernel/config/usb_gadget/panel
  modprobe -a evdev uinput hid-generic uhid gpio-sim dummy_hcd libcomposite usb_f_acm cdc_acm
  mkdir -p $sim/bank0
  echo 16 >$sim/bank0/num_lines
  echo 1 >$sim/live
  chip=$(cat $sim/bank0/chip_name)
  pins=/sys/devices/platform/$(cat $sim/dev_name)/$chip
  mkdir -p $gadget/strings/0x409 $gadget/configs/c.1 $gadget/functions/acm.usb0
  echo 0x2e8a >$gadget/idVendor
  echo 0x000a >$gadget/idProduct
  echo CB0002 >$gadget/strings/0x409/serialnumber
  # Links of configfs are resolved from where one stands.
  (cd $gadget/configs/c.1 && ln -s ../../functions/acm.usb0 acm.usb0)
}

plug_serial() {
  echo dummy_udc.0 >/sys/kernel/config/usb_gadget/panel/UDC
  wait_for 10 "the serial line is there" test -c /dev/ttyACM0 -a -c /dev/ttyGS0
  hands "serial open"
}

hands() { echo "$*" >&9; }

shows() { # file part
  local text
  read -r text <"$panels/$1" && [[ " $text " == *"$2"* ]]
}

taken() { # expected
  local answer
  rm -f /tmp/taken
  hands "taken /tmp/taken"
  wait_for 5 "who has pad and keyboard" test -s /tmp/taken
  read -r answer </tmp/taken
  [ "$answer" = "$1" ] || die "taken: $answer rather than $1"
}

presses_of() { # kind
  ctl status --json | python3 -c 'import json, sys
print(sum(panel["presses"] for panel in json.load(sys.stdin)["panel"] if panel["kind"] == sys.argv[1]))' "$1"
}

pressed_more() { # kind than
  [ "$(presses_of "$1")" -gt "$2" ]
}

press() { # kind slot
  case $1 in pins) hands "pins press $(($2 - 1))" ;; *) hands "$1 press $2" ;; esac
}

led_is() { # line value
  local value
  read -r value <"$pins/sim_gpio$1/value"
  [ "$value" = "$2" ]
}

# A key of this panel puts the slot on air, and the lamps say so: one LED and one lamp are red, no other.
cut_by() { # kind slot
  local n
  press "$1" "$2"
  wait_for 10 "$1: $2 is on air" is "s['program']['on_air'] == $2"
  wait_for 5 "$1: its LED is lit" led_is $((7 + $2)) 1
  wait_for 5 "$1: its lamp is red" shows serial " $2=red,steady "
  for n in 1 2 3 4 5; do
    [ $n = "$2" ] && continue
    wait_for 5 "$1: LED $n is dark" led_is $((7 + n)) 0
    wait_for 5 "$1: lamp $n is not red" shows serial " $n=off,steady "
  done
  # The deck's pictures are looked at when they had time to get there.
  pause 0.5
}

timed_presses() {
  local kind slot=1 n
  for kind in pins pad deck serial; do
    for ((n = 0; n < presses; n++)); do
      slot=$((slot % 5 + 1))
      press $kind $slot
      becomes 10 "s['program']['on_air'] == $slot" || die "$kind: $slot is not on air"
    done
  done
}

state_of() { echo "[x['state'] for x in s['panel'] if x['kind'] == '$1'] == ['$2']"; }

# What is pulled out is lost within two seconds, says so on the others, and works again when it is back.
come_and_go() {
  local kind
  hands "pad unplug"
  hands "deck unplug"
  echo >/sys/kernel/config/usb_gadget/panel/UDC
  for kind in keypad stream_deck serial; do wait_for 10 "$kind is lost" is "$(state_of $kind lost)"; done
  hands "pad plug"
  # Another model at the same place, whose pictures do not stand on their heads.
  hands "deck plug 0084 8"
  plug_serial
  for kind in keypad stream_deck serial; do wait_for 10 "$kind is back" is "$(state_of $kind connected)"; done
  cut_by pad 2
  cut_by deck 4
  cut_by serial 3
}

write_config() {
  local n
  begin_config "$size"
  cat >>"$config" <<TOML
start_slot = 1
[record]
slots = false
keep_free = "50 MB"
[panel]
serial = "usb:2e8a:000a:CB0002"
[panel.gpio]
chip = "$(basename "$pins")"
keys = [0, 1, 2, 3, 4]
red = [8, 9, 10, 11, 12]
# Nobody is there: it is what the stream is encoded for.
[[leg]]
name = "air"
kind = "rtmp"
url = "rtmp://127.0.0.1:9/live"
TOML
  for n in 1 2 3 4 5; do
    cat >>"$config" <<TOML
[[slot]]
number = $n
name = "Camera $n"
source = { kind = "test", marks = true }
TOML
  done
}

check() { # out
  python3 panels_judge.py "$1"
}
