#!/usr/bin/env python3
"""Judges the recordings of one show from the files themselves.

usage: recordings.py [--within W:H:X:Y] DATA_DIR TRACK…      tracks that must be there: program slot-1:heard …

For every track: all files open, hold as many pictures as the manifest says, these are at least 90 % of the show's
frames since the track began, none of them was shown twice (unless the manifest says that it filled a gap), and there
is a sound track as long as the picture. The sources must move all the time: a picture that equals the one before it is
a doubled one, except while the program shows the slate. `--within` names the part of the picture that moves, where most
of it stands. A track that is `:heard` has to hold more than silence."""
import json
import os
import statistics
import subprocess
import sys

import show

LEAST_SHARE = 0.9
# A doubled picture differs from the one before by coding noise alone, a moved one by the movement.
DOUBLED_BELOW = 0.25
SOUND_SLACK_S = 0.25
# Of a tone that is played the whole time.
HEARD_DB = -40
# Pictures that the driver delivered more than half a frame late, which only a clock that does not wait for it can see:
# their frames repeat the one before, and one is left out afterwards. That is no loss, and the manifest does not count it.
LATE_SHARE = 0.03 if os.environ.get("KERNEL_TIME") == "real" else 0


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def probe(path):
    entries = "stream=codec_type,nb_read_frames,duration,width,height"
    return json.loads(run("ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", path))["streams"]


def differences(path, within):
    """Mean difference of luma between each picture and the one before it."""
    look = f"crop={within}," if within else ""
    look += "format=gray,tblend=all_mode=difference,signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-"
    text = run("ffmpeg", "-v", "error", "-i", path, "-an", "-vf", look, "-vsync", "passthrough", "-f", "null", "-")
    return [float(line.split("=")[1]) for line in text.splitlines() if line.startswith("lavfi.")]


def loudness_db(path):
    text = subprocess.run(
        ("ffmpeg", "-v", "info", "-i", path, "-vn", "-af", "volumedetect", "-f", "null", "-"), capture_output=True, text=True
    ).stderr
    return next((float(line.split()[-2]) for line in text.splitlines() if "mean_volume" in line), None)


class Judge:
    def __init__(self, folder, within):
        self.folder = folder
        self.within = within
        self.problems = []
        self.manifest, self.timeline = show.read(folder)

    def expect(self, holds, text):
        if not holds:
            self.problems.append(text)

    def end(self):
        """The show's last frame."""
        return max(entry["frame"] for entry in self.timeline)

    def camera_shown(self, frame):
        """Whether the program showed a camera in this frame and in the one before."""
        shown = [entry for entry in self.timeline if entry["kind"] in ("on_air", "slate") and entry["frame"] < frame]
        return bool(shown) and max(shown, key=lambda entry: entry["frame"])["kind"] == "on_air"

    def track(self, name, heard):
        segments = sorted((s for s in self.manifest["segments"] if s["track"] == name), key=lambda s: s["number"])
        self.expect(segments, f"{name}: no file")
        if not segments:
            return
        frames = repeated = doubled = 0
        for segment in segments:
            counted, again = self.segment(name, segment)
            frames, doubled, repeated = frames + counted, doubled + again, repeated + segment["repeated"]
        due = self.end() - segments[0]["first_frame"]
        share = frames / due if due > 0 else 0
        self.expect(share >= LEAST_SHARE, f"{name}: {frames} of {due} frames")
        self.expect(frames - repeated >= LEAST_SHARE * due, f"{name}: {repeated} of {frames} frames are repeated ones")
        # Where a camera is lost on air, its last picture may stand until another is seen: two frames at most.
        # A picture that was repeated in a slot is repeated in the program as well when that slot is on air.
        stands = 0
        if name == "program":
            stands = 2 * sum(entry["kind"] == "slot_lost" for entry in self.timeline)
            stands += sum(s["repeated"] for s in self.manifest["segments"] if s["track"] != name)
        told = f"{name}: {doubled} pictures doubled, {repeated} admitted, {stands} by the slots"
        self.expect(doubled <= repeated + stands + LATE_SHARE * frames, told)
        loud = loudness_db(os.path.join(self.folder, segments[0]["file"]))
        self.expect(not heard or (loud or -100) > HEARD_DB, f"{name}: {loud} dB: nothing is heard")
        print(f"FACT {name}: {frames} of {due} frames, {doubled} doubled, {repeated} filled, {len(segments)} files, {loud} dB")

    def segment(self, name, segment):
        """Pictures in the file, and how many of them equal the one before."""
        path = os.path.join(self.folder, segment["file"])
        where = f"{name}/{segment['number']}"
        self.expect(segment["sealed"] and segment["clean"], f"{where}: not sealed cleanly: {segment}")
        streams = {stream["codec_type"]: stream for stream in probe(path)}
        self.expect({"video", "audio"} <= streams.keys(), f"{where}: streams are {sorted(streams)}")
        video = streams.get("video", {})
        counted = int(video.get("nb_read_frames", 0))
        self.expect(counted == segment["frames"], f"{where}: {counted} pictures, the manifest says {segment['frames']}")
        spread = abs(float(video.get("duration", 0)) - float(streams.get("audio", {}).get("duration", 0)))
        self.expect(spread <= SOUND_SLACK_S, f"{where}: picture and sound differ by {spread:.3f} s in length")
        compared = enumerate(differences(path, self.within), start=segment["first_frame"] + 1)
        moved = [difference for frame, difference in compared if name != "program" or self.camera_shown(frame)]
        usual = statistics.median(moved) if moved else 0
        self.expect(usual > 0.5, f"{where}: the picture does not move (median difference {usual})")
        return counted, sum(difference < usual * DOUBLED_BELOW for difference in moved)


def main():
    arguments = sys.argv[1:]
    within = arguments.pop(1) if arguments[:1] == ["--within"] and len(arguments) > 1 else None
    arguments = arguments[1:] if within else arguments
    if len(arguments) < 2:
        sys.exit(__doc__)
    judge = Judge(show.only(arguments[0]), within)
    for argument in arguments[1:]:
        name, _, heard = argument.partition(":")
        judge.track(name, heard)
    print("\n".join(judge.problems))
    sys.exit(bool(judge.problems))


if __name__ == "__main__":
    main()
