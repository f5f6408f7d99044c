#!/usr/bin/env python3
"""Judges how long the program went on showing a camera that was lost on air, and how soon it was recorded again.

usage: losses.py OUT SLOT=LOG…

Each LOG in OUT has a line for each thing that the scenario's hands did to the camera of that slot, `TIME WHAT …`, by the
guest's monotonic clock. After each loss the timeline has another slot on air within its bound; where test pictures are in
the program, it is they that change there. After each return of a signal the recording goes on, in a new file. A frame is
mixed a little later than its own time, so that a time may be below zero."""
import os
import statistics
import sys

import marks
import show

# Four of its intervals, for a camera of 15 frames a second that falls silent, and the frame in which that is seen.
SILENT_S = max(0.25, 4 / 15) + 1 / 15
LOSSES_S = {
    # An error that the driver tells: decided within two frames, seen with the next.
    "unplug": 3 / 15,
    # Told by the driver or seen by asking it.
    "no-signal": 0.25,
    "no-lock": 0.25,
    "out-of-range": 0.25,
    "other-mode": 0.25,
    "freeze": SILENT_S,
}
# It has to stay for half a second; then two frames.
RETURNS_S = {"signal-back": 0.5 + 2 / 15}
BOUNDS_S = LOSSES_S | RETURNS_S
# A frame is mixed so much later than its own time.
MIXED_LATER_S = 0.15


def hands(out, log):
    """What has a bound, and when."""
    with open(os.path.join(out, log)) as file:
        done = [line.split() for line in file]
    return [(float(words[0]), words[1]) for words in done if words[1] in BOUNDS_S]


class Judge:
    def __init__(self, out):
        self.problems = []
        folder = show.only(os.path.join(out, "data"))
        self.manifest, timeline = show.read(folder)
        self.switches = [(entry["frame"], entry["slot"]) for entry in timeline if entry["kind"] == "on_air"]
        self.files = {}
        for segment in self.manifest["segments"]:
            self.files.setdefault(segment["track"], []).append(segment["first_frame"])
        self.program = marks.of_track(folder, self.manifest, "program")
        self.marked = {mark[0] for mark in self.program.values() if mark}

    def returned(self, slot, at):
        """Seconds until the slot was recorded again."""
        files = (show.time_of(self.manifest, first) - at for first in self.files.get(f"slot-{slot}", []))
        back = min((seconds for seconds in files if seconds > -MIXED_LATER_S), default=None)
        if back is None:
            self.problems.append(f"the recording of slot {slot} did not go on after {at}")
        return back

    def replaced(self, lost, at, what):
        """Seconds until another slot was on air."""
        shown = [n for n, (frame, slot) in enumerate(self.switches) if slot == lost and show.time_of(self.manifest, frame) < at]
        if not shown or shown[-1] + 1 == len(self.switches):
            self.problems.append(f"{what} at {at}: slot {lost} was not on air, or no other came on air")
            return None
        frame, slot = self.switches[shown[-1] + 1]
        if slot in self.marked:
            pictures = [self.program.get(number) for number in (frame - 1, frame)]
            if [mark and mark[0] == slot for mark in pictures] != [None, True]:
                self.problems.append(f"{what} at {at}: the program shows {pictures} around frame {frame}")
        return show.time_of(self.manifest, frame) - at


def main():
    out, logs = sys.argv[1], [log.split("=") for log in sys.argv[2:]]
    judge, gaps = Judge(out), {}
    for slot, log in logs:
        for at, what in hands(out, log):
            gap = judge.replaced(int(slot), at, what) if what in LOSSES_S else judge.returned(int(slot), at)
            if gap is not None:
                gaps.setdefault(what, []).append(gap)
    for what, times in gaps.items():
        times.sort()
        bound, late = BOUNDS_S[what], times[len(times) * 99 // 100]
        figures = [f"{time * 1000:.0f}" for time in (statistics.median(times), late, times[-1])]
        then = "another slot on air" if what in LOSSES_S else "recorded again"
        print(f"FACT {what} -> {then}: {' / '.join(figures)} ms p50 / p99 / at most, of {len(times)}; bound {bound * 1000:.0f}")
        if times[-1] > bound:
            judge.problems.append(f"{what} -> {then}: {times[-1]:.3f} s")
    if not gaps:
        judge.problems.append("nothing was lost")
    print("\n".join(judge.problems))
    sys.exit(bool(judge.problems))


if __name__ == "__main__":
    main()
