#!/usr/bin/env python3
"""Judges a show whose disk was in trouble, from what was published and from the files that are left.

usage: disk_judge.py OUT WIDTH HEIGHT

What was published has every frame of the show, by the frame marks of its pictures. Every file that is left plays, with as
many pictures as the manifest says, and each picture is the frame that its place says."""
import glob
import json
import os
import sys

import marks
import show


def published(out, width, height):
    """Problems of the published stream."""
    raw = os.path.join(out, "leg.ts")
    numbers = [mark[1] for mark in marks.read(raw, width, height) if mark]
    missing = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
    print(f"FACT published: {len(numbers)} frames, {len(missing)} breaks")
    if len(numbers) < 15 * 30:
        yield f"only {len(numbers)} frames were published"
    yield from (f"published: frame {b} follows frame {a}" for a, b in missing[:5])


def recorded(out, width, height):
    """Problems of the recordings."""
    manifests = glob.glob(os.path.join(out, "data/shows/*/show.json"))
    if len(manifests) != 1:
        yield f"one show is expected: {manifests}"
        return
    with open(manifests[0]) as file:
        manifest = json.load(file)
    folder, clean, offsets = os.path.dirname(manifests[0]), 0, set()
    for segment in manifest["segments"]:
        path = os.path.join(folder, segment["file"])
        seen = marks.read(path, width, height) if os.path.exists(path) else []
        # A file that was not finished in time is told as it was then; what its disk was still at may add a fragment.
        late = 0 if segment["clean"] else manifest["fps"]
        if not 0 <= len(seen) - segment["frames"] <= late or not segment["sealed"]:
            yield f"{segment['file']}: {len(seen)} pictures: {segment}"
        if none := marks.missing(segment["track"], seen):
            yield f"{segment['file']}: {none} of {len(seen)} pictures have no marks"
        first = show.number_of(manifest, segment["first_frame"])
        offsets |= {mark[1] - first - place for place, mark in enumerate(seen) if mark}
        clean += segment["clean"]
    files = {os.path.relpath(path, folder) for path in glob.glob(os.path.join(folder, "*/*.mp4"))}
    if files != {segment["file"] for segment in manifest["segments"]}:
        yield f"files and manifest differ: {sorted(files)}"
    print(f"FACT recorded: {len(manifest['segments'])} files, {clean} sealed in order; a picture is at most "
          f"{max(map(abs, offsets), default=0)} frames from its place")
    if not offsets or max(map(abs, offsets)) > 2:
        yield f"pictures are not the frames that their places say: off by {sorted(offsets)}"
    if clean < 6:
        yield f"only {clean} files were sealed in order"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    out, width, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    problems = [*published(out, width, height), *recorded(out, width, height)]
    print("\n".join(problems))
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
