#!/usr/bin/env python3
"""Judges what an HDMI input's losses left behind.

usage: signals.py OUT

From the files: a new file of the slot for each time that its signal was back, and pictures in the last, which has another
mode. From the drivers: the EDID that the box set, whose blocks add up, and the control of the other camera."""
import json
import os
import subprocess
import sys

import show


def main():
    out = sys.argv[1]
    problems = []
    folder = show.only(os.path.join(out, "data"))
    manifest, _ = show.read(folder)
    files = sorted((s for s in manifest["segments"] if s["track"] == "slot-1"), key=lambda s: s["number"])
    if len(files) < 5:
        problems.append(f"slot 1 has {len(files)} files: one at the start and one after each of four returns are due")
    look = ("ffmpeg", "-v", "error", "-i", os.path.join(folder, files[-1]["file"]), "-an", "-vf", "scale=32:18,format=gray")
    raw = subprocess.run((*look, "-frames:v", "1", "-f", "rawvideo", "-"), check=True, capture_output=True).stdout
    if len(raw) != 32 * 18 or max(raw) - min(raw) < 60:
        problems.append("the picture in the new mode is empty")
    with open(os.path.join(out, "edid.bin"), "rb") as file:
        edid = file.read()
    if b"Cuebox" not in edid or any(sum(edid[at : at + 128]) % 256 for at in range(0, len(edid), 128)):
        problems.append("the input does not have the box's EDID")
    with open(os.path.join(out, "brightness.txt")) as file:
        value = file.read()
    if value.split() != ["brightness:", "120"]:
        problems.append(f"the camera's control was not set: {value}")
    with open(os.path.join(out, "devices.json")) as file:
        cameras = {camera["port"]: camera for camera in json.load(file)["cameras"]}
    hdmi = cameras["platform-vivid.0-0"]
    if hdmi["signal"] != "good" or (hdmi["modes"][0]["width"], hdmi["modes"][0]["height"]) != (640, 480):
        problems.append(f"cuebox devices: {hdmi['signal']}, {hdmi['modes'][:1]}")
    if not any(control["name"] == "brightness" and control["value"] == 120 for control in cameras["platform-vivid.0-1"]["controls"]):
        problems.append("cuebox devices does not show the control's value")
    print("\n".join(problems))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
