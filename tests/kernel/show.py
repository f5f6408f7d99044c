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


def number_of(manifest, frame):
    """How manieth frame of the boot a frame of the show is, of the boot in which it was begun or went on last: what the
    marks in its pictures say."""
    return manifest["origin"] - manifest["origin_frame"] + frame


def time_of(manifest, frame):
    """The monotonic time of a frame of the show, in seconds."""
    return number_of(manifest, frame) / manifest["fps"]


def frame_at(manifest, time):
    """The frame of the show at a monotonic time, with its fraction."""
    return time * manifest["fps"] - number_of(manifest, 0)


def read(folder):
    """The manifest, and the timeline's entries in their order."""
    with open(os.path.join(folder, "show.json")) as file:
        manifest = json.load(file)
    with open(os.path.join(folder, "timeline.jsonl")) as file:
        return manifest, [json.loads(line) for line in file]
