#!/usr/bin/env python3
"""Judges from the recordings which stick each slot had.

usage: sticks.py OUT

Each stick's pictures have a colour of their own. OUT/shown.log has, for each span of the guest's monotonic clock, the
stick of each slot ("-": none), as the hands of the scenario plugged them. Every file holds one stick alone; in each span
each slot has pictures of its stick, and none where it had no stick; the program shows the stick of the slot that the
timeline has on air."""
import os
import subprocess
import sys

import show

# U and V of each stick's colour.
COLOURS = {"A": (90, 240), "B": (54, 34), "C": (240, 110), "D": (16, 146), "E": (202, 222), "F": (166, 16)}
FAR = 40
LEAST_SHARE = 0.9
# Of a span of two seconds.
LEAST_FRAMES = 25


def stick_of(u, v):
    name, distance = min(((name, abs(u - a) + abs(v - b)) for name, (a, b) in COLOURS.items()), key=lambda found: found[1])
    return name if distance < FAR else None


def sticks_in(path):
    """The stick in each picture of a file, by the lower half's mean colour."""
    look = "crop=iw:ih/2:0:ih/2,scale=1:1:flags=area,format=yuv444p"
    raw = subprocess.run(
        ("ffmpeg", "-v", "error", "-i", path, "-an", "-vf", look, "-vsync", "passthrough", "-f", "rawvideo", "-"),
        check=True, capture_output=True,
    ).stdout
    return [stick_of(raw[at + 1], raw[at + 2]) for at in range(0, len(raw), 3)]


class Judge:
    def __init__(self, out):
        self.problems = []
        folder = show.only(os.path.join(out, "data"))
        self.manifest, self.timeline = show.read(folder)
        self.tracks = {}
        for segment in self.manifest["segments"]:
            found = sticks_in(os.path.join(folder, segment["file"]))
            if segment["track"] != "program" and len(set(found)) != 1:
                self.problems.append(f"{segment['file']} holds {set(found)}: one stick was due")
            if segment["sealed"] is not True or len(found) != segment["frames"]:
                self.problems.append(f"{segment['file']}: {len(found)} pictures: {segment}")
            self.tracks.setdefault(segment["track"], {}).update(enumerate(found, start=segment["first_frame"]))

    def frame(self, at):
        return show.frame_at(self.manifest, at)

    def on_air(self, frame):
        """The slot on air in this frame; None for the slate."""
        before = [entry for entry in self.timeline if entry["kind"] in ("on_air", "slate") and entry["frame"] <= frame]
        last = max(before, key=lambda entry: entry["frame"], default={"kind": "slate"})
        return last.get("slot") if last["kind"] == "on_air" else None

    def span(self, start, end, sticks):
        frames = range(int(self.frame(start)) + 1, int(self.frame(end)))
        if len(frames) < LEAST_FRAMES:
            self.problems.append(f"{start}: only {len(frames)} frames were looked at")
        for slot, stick in enumerate(sticks, start=1):
            seen = [found for frame in frames if (found := self.tracks.get(f"slot-{slot}", {}).get(frame, "-")) != "-"]
            least = 0 if stick == "-" else LEAST_SHARE * len(frames)
            if len(seen) < least or set(seen) - {stick}:
                self.problems.append(f"{start}: slot {slot} should have {stick}, has {len(seen)} of {len(frames)}: {set(seen)}")
        for frame in frames:
            slot, shown = self.on_air(frame), self.tracks["program"].get(frame, "-")
            due = sticks[slot - 1] if slot else None
            if shown != due:
                self.problems.append(f"frame {frame}: the program shows {shown}; slot {slot} is on air, with {due}")
                break


def main():
    out = sys.argv[1]
    judge = Judge(out)
    with open(os.path.join(out, "shown.log")) as file:
        spans = [line.split() for line in file]
    for start, end, *sticks in spans:
        judge.span(float(start), float(end), sticks)
    files = len(judge.manifest["segments"])
    print(f"FACT {len(spans)} times the sticks were plugged in otherwise; {files} files, each of one stick")
    print("\n".join(judge.problems))
    sys.exit(bool(judge.problems))


if __name__ == "__main__":
    main()
