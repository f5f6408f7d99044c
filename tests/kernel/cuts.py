#!/usr/bin/env python3
"""Compares the timeline with the pictures: from each cut's frame on, the program shows the slot that the timeline names.

usage: cuts.py DATA_DIR

Picture n of the program is compared with picture n of every slot; the slot that it resembles most is the one it shows.
Only cuts between cameras that show different patterns can be told apart this way; the others are not counted."""
import os
import subprocess
import sys

import show

WIDTH, HEIGHT = 64, 36
# A picture at a cut is judged by its neighbours too: the one before must show the old slot, this one the new.
LEAST_JUDGED = 5


def pictures(path):
    """All pictures of a file, as small grey bytes."""
    command = ("ffmpeg", "-v", "error", "-i", path, "-an", "-vf", f"scale={WIDTH}:{HEIGHT}:flags=area,format=gray")
    raw = subprocess.run((*command, "-vsync", "passthrough", "-f", "rawvideo", "-"), check=True, capture_output=True).stdout
    size = WIDTH * HEIGHT
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def distance(one, other):
    return sum(abs(a - b) for a, b in zip(one, other)) / len(one)


class Track:
    def __init__(self, folder, segments):
        self.parts = [(s["first_frame"], pictures(os.path.join(folder, s["file"]))) for s in segments]

    def at(self, frame):
        for first, part in self.parts:
            if first <= frame < first + len(part):
                return part[frame - first]
        return None


def main():
    folder = show.only(sys.argv[1])
    manifest, timeline = show.read(folder)
    segments = manifest["segments"]
    names = sorted({segment["track"] for segment in segments})
    tracks = {name: Track(folder, [s for s in segments if s["track"] == name]) for name in names}
    cuts = [entry for entry in timeline if entry["kind"] == "on_air"]
    wrong, judged = [], 0
    for before, cut in zip(cuts, cuts[1:]):
        old, new, frame = f"slot-{before['slot']}", f"slot-{cut['slot']}", cut["frame"]
        for at, expected, other in ((frame - 1, old, new), (frame, new, old)):
            shown, right, rival = tracks["program"].at(at), tracks[expected].at(at), tracks[other].at(at)
            if None in (shown, right, rival) or distance(right, rival) < 8:
                continue
            judged += 1
            near, far = distance(shown, right), distance(shown, rival)
            if near > far:
                wrong.append(f"frame {at}: shows {other} ({far:.1f}) rather than {expected} ({near:.1f}); cut at {frame}")
    print(f"FACT {len(cuts)} switches in the timeline, {judged} pictures beside them judged, {len(wrong)} wrong")
    print("\n".join(wrong))
    sys.exit(bool(wrong) or judged < LEAST_JUDGED)


if __name__ == "__main__":
    main()
