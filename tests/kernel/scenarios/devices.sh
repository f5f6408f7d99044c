# What `cuebox devices` says of real drivers: ports, names, modes, sound cards; without permission, why not.

guest() {
  modprobe vivid n_devs=5 node_types=0x1,0x1,0x1,0x1,0x1 num_inputs=1,1,1,1,1 input_types=0,0,0,3,3
  modprobe snd-aloop index=0,1 enable=1,1 pcm_substreams=1,1 id=HDMI1,HDMI2
  "$cuebox" devices --json >/out/devices.json || die "cuebox devices"
  chmod 600 /dev/video*
  setpriv --reuid=65534 --regid=65534 --clear-groups "$cuebox" devices --json >/out/nobody.json || die "without permission"
}

check() { # out
  python3 - "$1" <<'PYTHON'
import json, sys

devices, nobody = (json.load(open(f"{sys.argv[1]}/{name}.json")) for name in ("devices", "nobody"))
cameras = {camera["port"]: camera for camera in devices["cameras"]}
assert list(cameras) == [f"platform-vivid.0-{n}" for n in range(5)], list(cameras)
modes = {(mode["format"], mode["width"], mode["height"]): mode["rates"] for mode in cameras["platform-vivid.0-0"]["modes"]}
rates = [rate["numerator"] / rate["denominator"] for rate in modes["yuyv", 640, 360]]
assert 15.0 in rates and 30.0 in rates, rates
# An HDMI input lists no sizes: it is what it receives.
bridge = {(mode["width"], mode["height"], rate["numerator"]) for mode in cameras["platform-vivid.0-3"]["modes"] for rate in mode["rates"]}
assert bridge == {(1280, 720, 60)}, bridge
sound = {card["device"] for card in devices["sound"]}
assert {"hw:CARD=HDMI1,DEV=1", "hw:CARD=HDMI2,DEV=1"} <= sound, sound
assert not nobody["cameras"] and len(nobody["unusable"]) == 5, nobody
assert all("group `video`" in entry["why"] for entry in nobody["unusable"]), nobody
PYTHON
}
