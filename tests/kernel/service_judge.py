#!/usr/bin/env python3
"""Judges what is on the disk of a box that was restarted by its service manager, reset by the watchdog, and switched off.

usage: service_judge.py OUT

One show with three files of each track. Every picture of the first slot is the frame that its place says (frame marks), up
to a second before the box stood still or was reset, and up to the moment in which the power button was pressed; what was
open then is sealed in order."""
import os
import sys

import marks
import show

TRACKS = ("program", "slot-1", "slot-2")
# What a kill may cost.
LOST_S = 1.0
# A frame is mixed so much later than its own time, so what ends with the press ends with older frames.
MIXED_LATER_S = 0.2
# The watchdog of the unit, and the time that a start takes.
AWAY_S = 10 + 3


def seconds(out, name):
    with open(os.path.join(out, name)) as file:
        return float(file.read().split()[-1])


def main():
    out = sys.argv[1]
    problems = []
    folder = show.only(os.path.join(out, "data"))
    manifest, timeline = show.read(folder)
    fps = manifest["fps"]
    files = {(s["track"], s["number"]): s for s in manifest["segments"]}
    if set(files) != {(track, number) for track in TRACKS for number in (1, 2, 3)}:
        problems.append(f"three files of each track are due: {sorted(files)}")
    # Of the marked slot: frames of the monotonic clock of the boot that it was recorded in.
    seen = {}
    for (track, number), segment in files.items():
        path = os.path.join(folder, segment["file"])
        found = marks.read(path, 320, 180)
        if len(found) != segment["frames"] or not segment["sealed"] or segment["clean"] != (number == 3):
            problems.append(f"{len(found)} pictures: {segment}")
        if track == "slot-2":
            continue
        numbers = [mark[1] for mark in found if mark]
        if len(numbers) != len(found) or any(b != a + 1 for a, b in zip(numbers, numbers[1:])):
            problems.append(f"{segment['file']}: pictures are missing or doubled")
        seen[track, number] = numbers
    resumed = [entry for entry in timeline if entry["kind"] == "resumed"]
    if len(resumed) != 2:
        problems.append(f"the show went on {len(resumed)} times")
    for track in ("program", "slot-1"):
        first, second, third = (seen[track, number] for number in (1, 2, 3))
        away = (second[0] - first[-1]) / fps
        lost_by_loop = seconds(out, "loop-stood") - (first[-1] + 1) / fps
        lost_by_reset = seconds(out, "beats") - (second[-1] + 1) / fps
        after_button = (third[-1] + 1) / fps - seconds(out, "pressed")
        print(f"FACT {track}: loop stood still: {away:.1f} s without a picture; reset: the last {lost_by_reset:.2f} s lost; "
              f"power button: recorded to {after_button:+.2f} s of it")
        if lost_by_loop > LOST_S or away > AWAY_S:
            problems.append(f"{track}: the loop stood still: {lost_by_loop} s lost, away for {away} s")
        if lost_by_reset > LOST_S + 0.2:
            problems.append(f"{track}: {lost_by_reset} s lost by the reset")
        if after_button < -MIXED_LATER_S:
            problems.append(f"{track}: ends {-after_button} s before the power button was pressed")
    print("\n".join(problems))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
