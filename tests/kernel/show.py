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


def read(folder):
    """The manifest, and the timeline's entries in their order."""
    with open(os.path.join(folder, "show.json")) as file:
        manifest = json.load(file)
    with open(os.path.join(folder, "timeline.jsonl")) as file:
        return manifest, [json.loads(line) for line in file]
