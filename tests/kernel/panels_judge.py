#!/usr/bin/env python3
"""Judges what the scenario `panels` left: the Stream Deck's pictures, the timeline and the recorded program.

usage: panels_judge.py OUT

Every press is one switch of the timeline, in order, by a panel. The recorded picture at that frame shows the slot and the
one before shows another (frame marks); its mark also says when it was made, and the box's log when it left the encoder,
which both are compared with the press. Key pictures
are decoded and looked at: size, digit, which way up, and that red stands behind the slot on air alone."""
import json
import os
import re
import statistics
import subprocess
import sys

import marks
import show

FPS = 15
# Most frames between a press and the picture that shows it.
MOST_FRAMES = 3
# After a press, until its colours are on the deck.
SETTLED_S = 0.4
SIDES = {72: "turned", 120: "upright"}
RED = (190, 0, 0)
# Digits as they stand on the keys, eight dots by eight.
DIGITS = {
    1: "..##.... .###.... ..##.... ..##.... ..##.... ..##.... ######.. ........",
    2: ".####... ##..##.. ....##.. ..###... .##..... ##..##.. ######.. ........",
    3: ".####... ##..##.. ....##.. ..###... ....##.. ##..##.. .####... ........",
    4: "...###.. ..####.. .##.##.. ##..##.. #######. ....##.. ...####. ........",
    5: "######.. ##...... #####... ....##.. ....##.. ##..##.. .####... ........",
}


def ffmpeg(*options, given=None):
    command = ("ffmpeg", "-v", "error", *options, "-f", "rawvideo", "-")
    return subprocess.run(command, check=True, capture_output=True, input=given).stdout


def side_of(jpeg):
    """Pixels of its side, from its start-of-frame segment."""
    at = 2
    while jpeg[at] == 0xFF and jpeg[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    height, width = (int.from_bytes(jpeg[at + 5 + n : at + 7 + n], "big") for n in (0, 2))
    return width if width == height else 0


def pictures(paths):
    """Key pictures by their paths; those of one size are decoded in one go."""
    found, by_side = {}, {}
    for path in paths:
        with open(path, "rb") as file:
            jpeg = file.read()
        by_side.setdefault(side_of(jpeg), []).append((path, jpeg))
    for side, group in by_side.items():
        joined = b"".join(jpeg for _, jpeg in group)
        raw = ffmpeg("-f", "image2pipe", "-c:v", "mjpeg", "-i", "-", "-vsync", "passthrough", "-pix_fmt", "rgb24", given=joined)
        size = 3 * side * side
        if len(raw) != size * len(group):
            sys.exit(f"{len(group)} key pictures of {side} pixels, {len(raw) / max(size, 1)} can be decoded")
        found |= {path: Picture(side, raw[n * size : (n + 1) * size]) for n, (path, _) in enumerate(group)}
    return found


class Picture:
    """A key's picture as somebody before the deck sees it."""

    def __init__(self, side, raw):
        self.side = side
        pixels = [tuple(raw[at : at + 3]) for at in range(0, len(raw), 3)]
        if SIDES.get(self.side) == "turned":
            pixels.reverse()
        self.rows = [pixels[at : at + self.side] for at in range(0, len(pixels), self.side)]
        self.paper = self.rows[1][1]

    def is_ink(self, x, y):
        return sum(abs(a - b) for a, b in zip(self.rows[y][x], self.paper)) > 200

    def inked(self):
        """Share of it that is not paper."""
        cells = [(x, y) for y in range(self.side) for x in range(self.side)]
        return sum(self.is_ink(x, y) for x, y in cells) / len(cells)

    def is_red(self):
        return all(abs(a - b) < 30 for a, b in zip(self.paper, RED))

    def shows_digit(self, digit):
        scale = self.side // 24
        left, top = (self.side - 8 * scale) // 2, self.side // 12
        dots = [
            "".join("#" if self.is_ink(left + x * scale + scale // 2, top + y * scale + scale // 2) else "." for x in range(8))
            for y in range(8)
        ]
        wrong = sum(a != b for a, b in zip("".join(dots), DIGITS[digit].replace(" ", "")))
        return wrong <= 2


class Judge:
    def __init__(self, out):
        self.problems, self.looked = [], 0
        self.panels = os.path.join(out, "panels")
        self.show = show.only(os.path.join(out, "data"))
        with open(os.path.join(self.panels, "log.jsonl")) as file:
            self.log = [json.loads(line) for line in file]
        self.presses = [entry for entry in self.log if "pressed" in entry]
        with open(os.path.join(out, "cuebox.log")) as file:
            left = re.findall(r"job=stream frame=(\d+) at_ns=(\d+)", file.read())
        self.left = {int(frame): int(at) / 1e9 for frame, at in left}

    def expect(self, holds, problem):
        if not holds:
            self.problems.append(problem)

    def switches(self):
        manifest, timeline = show.read(self.show)
        by_panel = [entry for entry in timeline if entry["kind"] == "on_air" and entry.get("by") == "panel"]
        wanted, came = [entry["pressed"] for entry in self.presses], [entry["slot"] for entry in by_panel]
        self.expect(wanted == came, f"pressed {wanted}, on air {came}")
        recorded = marks.of_track(self.show, manifest, "program")
        delays, encoded = {}, {}
        for press, switch in zip(self.presses, by_panel):
            frame, slot = switch["frame"], switch["slot"]
            before, here = recorded.get(frame - 1), recorded.get(frame)
            self.expect(here and here[0] == slot, f"frame {frame} shows {here} rather than slot {slot}")
            self.expect(before and before[0] != slot, f"frame {frame - 1} shows {before} before its cut to {slot}")
            if here:
                delays.setdefault(press["panel"], []).append(here[1] - press["t"] * FPS)
            out = self.left.get(manifest["origin"] + frame)
            self.expect(out, f"frame {frame} did not leave the encoder")
            encoded.setdefault(press["panel"], []).append(((out or 0) - press["t"]) * FPS)
        for panel, frames in sorted(delays.items()):
            frames.sort()
            most = frames[-1]
            print(f"FACT {panel}: {len(frames)} presses, first new frame {statistics.median(frames):.1f} p50, {most:.1f} at most")
            self.expect(most <= MOST_FRAMES, f"{panel}: {most:.1f} frames from a press to its picture")
            out = sorted(encoded[panel])
            middle, late = statistics.median(out), out[len(out) * 99 // 100]
            print(f"FACT {panel}: out of the encoder {middle:.2f} p50, {late:.2f} p99, {out[-1]:.2f} at most")

    def deck(self):
        shown, delays, sizes, presses = {}, [], set(), iter([*self.presses, {"t": float("inf"), "pressed": None}])
        press, last = next(presses), None
        decoded = pictures(self.path(entry) for entry in self.log if "picture" in entry)
        for entry in sorted([*self.log, {"t": float("inf")}], key=lambda entry: entry["t"]):
            if entry["t"] >= press["t"]:
                # A key that is pressed before the deck has taken the pictures is no time to look.
                if last is not None and shown and min(press["t"], entry["t"]) - last["t"] > SETTLED_S:
                    self.tally(shown, last)
                if press["pressed"] is None:
                    break
                last, press = press, next(presses)
            if "picture" not in entry:
                continue
            picture = decoded[self.path(entry)]
            key = entry["key"]
            sizes.add(picture.side)
            self.expect(picture.side in SIDES, f"{entry['picture']}: {picture.side} pixels")
            if key in DIGITS:
                self.expect(0.05 < picture.inked() < 0.5, f"{entry['picture']}: {picture.inked():.0%} of it is ink")
                self.expect(picture.shows_digit(key), f"{entry['picture']}: does not show {key}, or stands on its head")
                if last and key == last["pressed"] and picture.is_red() and not (key in shown and shown[key].is_red()):
                    delays.append(entry["t"] - last["t"])
            shown[key] = picture
        self.expect(sizes == set(SIDES), f"pictures of {sizes} pixels")
        count = sum("picture" in entry for entry in self.log)
        print(f"FACT {count} key pictures; red {statistics.median(delays):.2f} s after the press (p50)")
        self.expect(self.looked >= 7, f"the keys could be looked at {self.looked} times")
        self.expect(len(delays) >= len(self.presses) * 0.8, f"{len(delays)} times red for {len(self.presses)} presses")

    def listed(self, out):
        with open(os.path.join(out, "devices.json")) as file:
            kinds = {panel["kind"]: panel for panel in json.load(file)["panels"]}
        self.expect(set(kinds) == {"gpio", "keypad", "serial", "stream_deck"}, f"cuebox devices lists {sorted(kinds)}")
        serial = kinds.get("serial", {}).get("device")
        self.expect(serial == "usb:2e8a:000a:CB0002", f"cuebox devices calls the serial panel {serial}")

    def path(self, entry):
        return os.path.join(self.panels, "pictures", entry["picture"])

    def tally(self, shown, press):
        self.looked += 1
        red = sorted(key for key, picture in shown.items() if key in DIGITS and picture.is_red())
        self.expect(red == [press["pressed"]], f"{press['pressed']} was pressed at {press['t']}, red were {red}")


def main():
    judge = Judge(sys.argv[1])
    judge.switches()
    judge.deck()
    judge.listed(sys.argv[1])
    print("\n".join(judge.problems))
    sys.exit(bool(judge.problems))


if __name__ == "__main__":
    main()
