#!/usr/bin/env python3
"""Power cuts at any write: a log of all that a disk was told (dm-log-writes), and the disk rebuilt from it as it would
have been had the power gone there.

usage: power_cut.py drive SOCKET DEVICE SECONDS     a show on the disk behind DEVICE: switches, markers, the show's end;
                                                    notes in the log what time it is and what was answered
       power_cut.py judge LOG DISK CUEBOX POINTS    rebuilds it at so many points in /tmp/cut, starts the recovery of
                                                    CUEBOX on each, and judges what is there. DISK is the empty one

A disk with a volatile cache keeps, of what it was told since the last flush, all, nothing, or any part: the points take
turns. What was written with FUA is kept always. At each point:
- the file system mounts, and has no error afterwards;
- every file plays with as many pictures as the index says, and each file is listed; recovering again finds nothing;
- no track lacks more than a second before the cut;
- the timeline has every marker that was answered `done`, and says nothing of frames that are more than a second ahead
  of the program's file."""
import hashlib
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import time

from follow_status import UnixConnection

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC = 0x6A736677736872
MARK_EVERY_S = 0.05
LOST_AT_MOST_S = 1.0
AHEAD_AT_MOST_S = 1.0
KINDS = ("all", "nothing", "part")
WORK = "/tmp/cut"


def drive(path, device, seconds):
    box = UnixConnection(path, timeout=20)

    def mark(text):
        subprocess.run(("dmsetup", "message", device, "0", "mark", text), check=True)

    def tell(**command):
        box.request("POST", "/api/v1/commands", json.dumps(command))
        answer = json.loads(box.getresponse().read())
        if answer.get("result") != "done":
            sys.exit(f"{command}: {answer}")

    began, step = time.monotonic(), 0
    while time.monotonic() < began + seconds:
        mark(f"t:{time.monotonic_ns()}")
        if step % 7 == 3:
            tell(verb="marker", text=f"m{step}")
            mark(f"done:m{step}")
        if step % 30 == 10:
            tell(verb="cut", slot=1 + step // 30 % 2)
        step += 1
        time.sleep(MARK_EVERY_S)
    tell(verb="show", action="stop")
    state = None
    while state != "idle":
        mark(f"t:{time.monotonic_ns()}")
        box.request("GET", "/api/v1/status")
        state = json.loads(box.getresponse().read())["recording"]["state"]
        time.sleep(MARK_EVERY_S)


class Entry:
    def __init__(self, sector, sectors, flags, data, mark):
        self.sector, self.sectors, self.flags, self.data, self.mark = sector, sectors, flags, data, mark


def entries(path):
    """The log's entries; of each only where its data lies."""
    found = []
    with open(path, "rb") as log:
        magic, _, count, size = struct.unpack("<QQQI", log.read(28))
        if magic != MAGIC:
            sys.exit("this is no log of writes")
        at = size
        for _ in range(count):
            log.seek(at)
            sector, sectors, flags, length = struct.unpack("<QQQQ", log.read(32))
            mark = log.read(length).decode() if flags & MARK else None
            found.append(Entry(sector, sectors, flags, at + size, mark))
            at += size + (0 if flags & (MARK | DISCARD) else sectors * 512)
    return found


class Disk:
    """The disk after what was made durable, moved on along the log."""

    def __init__(self, empty, log, found):
        self.image, self.log, self.found, self.at = f"{WORK}/durable.img", open(log, "rb"), found, 0
        subprocess.run(("cp", "--sparse=always", empty, self.image), check=True)

    def put(self, file, entry):
        if entry.sectors and not entry.flags & (MARK | DISCARD):
            self.log.seek(entry.data)
            file.seek(entry.sector * 512)
            file.write(self.log.read(entry.sectors * 512))

    def cut_at(self, point, kind, dice):
        """The image of a disk whose power went when so many entries were there."""
        last = max((i for i in range(self.at, point) if self.found[i].flags & FLUSH), default=None)
        with open(self.image, "r+b") as durable:
            if last is not None:
                for entry in self.found[self.at : last]:
                    self.put(durable, entry)
                self.at = last
        image = f"{WORK}/cut.img"
        subprocess.run(("cp", "--sparse=always", self.image, image), check=True)
        with open(image, "r+b") as cut:
            for entry in self.found[self.at : point]:
                if entry.flags & FUA or kind == "all" or (kind == "part" and dice.random() < 0.5):
                    self.put(cut, entry)
        return image


class Truth:
    """What is known of the moment of each point, from the marks around it."""

    def __init__(self, found, whole):
        self.found, self.whole = found, whole
        self.origin, self.fps = whole["origin"], whole["fps"]
        self.ends = {}
        for segment in whole["segments"]:
            end = segment["first_frame"] + segment["frames"]
            self.ends[segment["track"]] = max(self.ends.get(segment["track"], 0), end)
        self.begins = {}
        for segment in whole["segments"]:
            first = self.begins.get(segment["track"], segment["first_frame"])
            self.begins[segment["track"]] = min(first, segment["first_frame"])

    def frame(self, point):
        """The show's frame at that moment, rather too late than too early."""
        marks = (entry.mark for entry in self.found[point:] if entry.mark and entry.mark.startswith("t:"))
        t_ns = next((int(mark[2:]) for mark in marks), None)
        return None if t_ns is None else t_ns * self.fps // 10**9 - self.origin

    def done(self, point):
        return {e.mark[5:] for e in self.found[:point] if e.mark and e.mark.startswith("done:")}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Mounted:
    """An image as a folder. The kernel mounts no device that somebody has open for writing, as `mount -o loop` has."""

    def __init__(self, image):
        self.image, self.folder = image, f"{WORK}/mnt"

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        self.device = run("losetup", "-f", "--show", self.image).stdout.strip()
        mounted = run("mount", "-t", "ext4", self.device, self.folder)
        if mounted.returncode:
            subprocess.run(("losetup", "-d", self.device), check=True)
            raise OSError(f"it does not mount: {mounted.stderr}")
        return self.folder

    def __exit__(self, *_):
        subprocess.run(("umount", self.folder), check=True)
        subprocess.run(("losetup", "-d", self.device), check=True)


class Judge:
    def __init__(self, truth, cuebox):
        self.truth, self.cuebox, self.problems, self.lost, self.ahead = truth, cuebox, [], [], []
        self.probed = {}

    def judge(self, where, image, point):
        """Everything that is promised of a disk after a cut."""
        try:
            with Mounted(image) as folder:
                for problem in self.content(folder, point):
                    self.problems.append(f"{where}: {problem}")
        except OSError as error:
            self.problems.append(f"{where}: {error}")
            return
        checked = run("e2fsck", "-fn", image)
        if checked.returncode:
            self.problems.append(f"{where}: the file system has errors: {checked.stdout[-400:]}")

    def shows(self, folder, *words):
        told = run(self.cuebox, "shows", "--json", "--data-dir", folder, *words)
        return told.returncode, told.stdout, told.stderr

    def content(self, folder, point):
        show = self.truth.whole["id"]
        status, listed, why = self.shows(folder)
        if status or [one["id"] for one in json.loads(listed)] != [show]:
            yield f"the show is not listed: {listed}{why}"
            return
        _, text, again = self.shows(folder, show)
        if again:
            yield f"recovering again finds more: {again}"
        detail = json.loads(text)
        files = set()
        for top, _, names in os.walk(f"{folder}/shows/{show}"):
            files |= {os.path.relpath(f"{top}/{name}", folder) for name in names if name.endswith(".mp4")}
        if files != {segment["file"] for segment in detail["segments"]}:
            yield f"files are {sorted(files)}, listed are {[s['file'] for s in detail['segments']]}"
            return
        for segment in detail["segments"]:
            yield from self.file(folder, segment)
        yield from self.reach(detail, point)

    def file(self, folder, segment):
        path = f"{folder}/{segment['file']}"
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).digest()
        # A file that was sealed is the same at every later point.
        if content not in self.probed:
            entries = ("-select_streams", "v:0", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0")
            told = run("ffprobe", "-v", "error", "-count_packets", *entries, path)
            self.probed[content] = told.stdout.strip().strip(","), told.stderr[-300:]
        pictures, trouble = self.probed[content]
        if trouble or pictures != str(segment["frames"]):
            yield f"{segment['file']}: {pictures} pictures of {segment['frames']}: {trouble}"

    def reach(self, detail, point):
        """How far the files and the timeline come."""
        truth, now, lost = self.truth, self.truth.frame(point), 0
        for track, end in truth.ends.items():
            ends = [s["first_frame"] + s["frames"] for s in detail["segments"] if s["track"] == track]
            due = end if now is None else min(now, end)
            lost = max(lost, (due - max(ends, default=truth.begins[track])) / truth.fps)
        self.lost.append(lost)
        if lost > LOST_AT_MOST_S:
            yield f"{lost:.2f} s are lost"
        markers = {entry["text"] for entry in detail["timeline"] if entry["kind"] == "marker"}
        if missing := truth.done(point) - markers:
            yield f"the timeline lacks what was answered: {sorted(missing)}"
        told = max((entry["frame"] for entry in detail["timeline"]), default=0)
        program = [s["first_frame"] + s["frames"] for s in detail["segments"] if s["track"] == "program"]
        ahead = (told - max(program, default=0)) / truth.fps
        self.ahead.append(ahead)
        if ahead > AHEAD_AT_MOST_S:
            yield f"the timeline is {ahead:.2f} s ahead of the program"


def judge(log, empty, cuebox, count):
    os.makedirs(WORK, exist_ok=True)
    found = entries(log)
    marks = [i for i, entry in enumerate(found) if entry.mark and entry.mark.startswith("t:")]
    disk, dice = Disk(empty, log, found), random.Random(1)
    whole_image = disk.cut_at(len(found), "all", dice)
    with Mounted(whole_image) as folder:
        (show,) = os.listdir(f"{folder}/shows")
        with open(f"{folder}/shows/{show}/show.json") as manifest:
            whole = json.load(manifest)
    disk, judge = Disk(empty, log, found), Judge(Truth(found, whole), cuebox)
    writes = [i + 1 for i in range(marks[0], len(found)) if not found[i].flags & MARK]
    points = sorted(dice.sample(writes, min(count, len(writes))))
    print(f"{len(found)} entries, {len(writes)} writes during the show, {len(points)} points")
    for number, point in enumerate(points):
        kind = KINDS[number % len(KINDS)]
        judge.judge(f"{kind} at {point}", disk.cut_at(point, kind, dice), point)
    lost, ahead = judge.lost or [0], judge.ahead or [0]
    print(f"FACT power cut at {len(points)} writes: {len(judge.problems)} problems; lost: "
          f"{statistics.median(lost):.2f} s median, {max(lost):.2f} s at most; timeline {max(ahead):.2f} s ahead at most")
    print("\n".join(judge.problems[:40]))
    sys.exit(bool(judge.problems) or len(points) < count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["drive"] and len(sys.argv) == 5:
        drive(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    elif sys.argv[1:2] == ["judge"] and len(sys.argv) == 6:
        judge(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
    else:
        sys.exit(__doc__)
