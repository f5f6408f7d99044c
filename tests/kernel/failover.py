#!/usr/bin/env python3
"""Measures, from the stick's log and the show's timeline, how long the program showed a stick that was gone.

usage: failover.py OUT

Both times are the guest's monotonic clock: the stick's log has it, and frame n of the show began at
(origin + n) / fps. An unplugged stick is an error that the driver tells, a frozen one has to be missed first."""
import os
import sys

import show

# The promises are two frames after an error, and four intervals of the source for silence.
STICK_FPS = 15


def main():
    out = sys.argv[1]
    manifest, shown = show.read(show.only(os.path.join(out, "data")))
    with open(os.path.join(out, "stick.log")) as file:
        stick = [(float(line.split()[0]), line.split()[1]) for line in file]
    fps, origin = manifest["fps"], manifest["origin"]
    # What is decided within a frame is seen with the next.
    bounds = {"unplug": 3 / fps, "freeze": max(0.25, 4 / STICK_FPS) + 1 / fps}
    failed = False
    for command, bound in bounds.items():
        at = next(time for time, what in stick if what == command)
        times = ((origin + entry["frame"]) / fps for entry in shown if entry["kind"] == "on_air" and entry["slot"] == 2)
        gap = next((time - at for time in times if time >= at - 1 / fps), None)
        print(f"FACT {command} -> another slot on air: {'never' if gap is None else f'{gap * 1000:.0f} ms'} (bound {bound * 1000:.0f})")
        failed |= gap is None or gap > bound
    sys.exit(failed)


if __name__ == "__main__":
    main()
