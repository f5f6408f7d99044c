"""A show as the box left it: its manifest, and the facts of its timeline."""
import glob
import json
import os
import sys


def only(data):
    """The folder of the one show that a data folder has to hold."""
    found = glob.glob(os.path.join(data, "shows", "*"))
    if len(found) != 1:
        sys.exit(f"expected one show, found {found}")
    return found[0]


def time_of(manifest, frame):
    """The monotonic time of a frame of the show, in seconds; of the boot in which it was begun or went on last."""
    return (manifest["origin"] - manifest["origin_frame"] + frame) / manifest["fps"]


def read(folder):
    """The manifest, and the timeline's entries in their order."""
    with open(os.path.join(folder, "show.json")) as file:
        manifest = json.load(file)
    with open(os.path.join(folder, "timeline.jsonl")) as file:
        return manifest, [json.loads(line) for line in file]
