#!/usr/bin/env python3
"""Judges the recorded sound of cards whose clocks run wrong, and of one that was taken out and put back.

usage: sound_judge.py OUT

OUT/CARD.log (card_player.py) says when each burst was heard. In the recording it has to be at the frame of that time.
What was shifted is shown by the card's own count against the monotonic clock, and by the pitch of its tone in the
recording. Where a card is gone the recording is silent, and as long as its picture."""
import array
import os
import statistics
import subprocess
import sys

import show

RATE = 48_000
# Track, card, its clock's error, and its tone.
CARDS = (("slot-1", "FAST", 0.01, 300), ("slot-2", "SLOW", -0.01, 400), ("slot-3", "TRUE", 0.0, 500))
APART_S = 0.020
# Each time that the card was there.
LEAST_BURSTS = {"FAST": (55,), "SLOW": (55,), "TRUE": (8, 15)}
LOUD, QUIET = 0.2, 0.001


def decoded(path):
    """The first channel of a file's sound, from the time of its first picture on."""
    look = ("-vn", "-af", "aresample=async=1:first_pts=0", "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-")
    raw = subprocess.run(("ffmpeg", "-v", "error", "-i", path, *look), check=True, capture_output=True).stdout
    return array.array("f", raw)


class Played:
    """When each frame of a card was played, from its log."""

    def __init__(self, path):
        with open(path) as file:
            points = [(float(t), int(n)) for t, n in (line.split() for line in file)]
        times, counts = [t for t, _ in points], [n for _, n in points]
        self.rate, offset = statistics.linear_regression(times, counts)
        self.first, self.last = times[0], times[-1]
        self.start = -offset / self.rate
        self.worst = max(abs(n - self.rate * t - offset) / self.rate for t, n in points)

    def burst_near(self, at):
        """The time of the burst that is nearest."""
        nth = round((at - self.start) * self.rate / RATE)
        return self.start + nth * RATE / self.rate


def bursts(samples):
    """Where bursts begin: louder than the tone, after half a second that was not."""
    found, last = [], -RATE
    for at, value in enumerate(samples):
        if abs(value) > LOUD:
            if at - last > RATE // 2:
                found.append(at)
            last = at
    return found


def pitch(samples, after):
    """Of the tone in the half second after a burst, Hz: by whole waves between its zeros."""
    part = samples[after + RATE // 10 : after + RATE * 6 // 10]
    zeros = [at - part[at] / (part[at] - part[at - 1]) for at in range(1, len(part)) if part[at - 1] < 0 <= part[at]]
    return (len(zeros) - 1) * RATE / (zeros[-1] - zeros[0]) if len(zeros) > 2 else 0


class Judge:
    def __init__(self, out):
        self.out, self.problems = out, []
        self.folder = show.only(os.path.join(out, "data"))
        self.manifest, _ = show.read(self.folder)

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    def samples(self, track):
        """Of a track's only file, with the monotonic time of its first picture."""
        files = [segment for segment in self.manifest["segments"] if segment["track"] == track]
        self.expect(len(files) == 1, f"{track} has {len(files)} files: the sound disturbed its picture")
        samples = decoded(os.path.join(self.folder, files[0]["file"]))
        length = files[0]["frames"] / self.manifest["fps"]
        self.expect(abs(len(samples) / RATE - length) < 0.25, f"{track}: {len(samples) / RATE:.2f} s of sound, {length:.2f} of picture")
        return samples, show.time_of(self.manifest, files[0]["first_frame"])

    def card(self, track, card, error, tone):
        samples, begins = self.samples(track)
        played = [Played(os.path.join(self.out, name)) for name in sorted(os.listdir(self.out)) if name.startswith(card)]
        for part in played:
            shift = part.rate / RATE - 1
            self.expect(abs(shift - error) < 0.0005, f"{card}: its clock is {shift:+.4%} off, {error:+.2%} was set")
        apart, pitches, counts = [], [], [0] * len(played)
        for at in bursts(samples):
            heard = begins + at / RATE
            nth, part = next(((n, part) for n, part in enumerate(played) if part.first <= heard <= part.last), (0, None))
            if part:
                counts[nth] += 1
                apart.append(heard - part.burst_near(heard))
                pitches.append(pitch(samples, at))
        due = tone * (1 + error)
        middle = statistics.median(pitches) if pitches else 0
        self.expect(abs(middle / due - 1) < 0.001, f"{card}: {middle:.2f} Hz recorded, {due:.2f} were played")
        least = LEAST_BURSTS[card]
        enough = len(counts) == len(least) and all(count >= due for count, due in zip(counts, least))
        self.expect(enough, f"{card}: {counts} bursts are recorded")
        worst = max(map(abs, apart), default=1)
        self.expect(worst <= APART_S, f"{card}: {worst * 1000:.1f} ms from its picture: {[round(a * 1000, 1) for a in apart]}")
        low, high = min(apart, default=0) * 1000, max(apart, default=0) * 1000
        print(f"FACT {card}: clock {played[0].rate / RATE - 1:+.3%}, tone {middle:.1f} Hz; {len(apart)} bursts, {low:+.1f} to {high:+.1f} ms from the picture")

    def gone(self, track):
        """While the card was out, from the second in which it was."""
        with open(os.path.join(self.out, "card-gone.log")) as file:
            out, back = (float(line) for line in file)
        samples, begins = self.samples(track)
        window = lambda a, b: samples[int((a - begins) * RATE) : int((b - begins) * RATE)]
        level = lambda part: max(map(abs, part), default=0)
        while_out = window(out + 1, back)
        self.expect(len(while_out) > (back - out - 2) * RATE > RATE, f"{track}: {len(while_out) / RATE:.1f} s of it while the card was out")
        before, silent = level(window(out - 3, out - 1)), level(while_out)
        print(f"FACT {track}: card out for {back - out:.1f} s: peak {before:.3f} before, {silent:.4f} meanwhile")
        self.expect(before > LOUD and silent < QUIET, f"{track}: peak {before} before, {silent} while the card was out")


def main():
    judge = Judge(sys.argv[1])
    for row in CARDS:
        judge.card(*row)
    judge.gone("slot-3")
    judge.gone("program")
    print("\n".join(judge.problems))
    sys.exit(bool(judge.problems))


if __name__ == "__main__":
    main()
