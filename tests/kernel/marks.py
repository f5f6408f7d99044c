"""Frame marks: a camera's slot and a frame's number, which test pictures carry in their top rows."""
import subprocess


def read(path, width, height):
    """(slot, number of the frame since boot) of each picture; None where there are no marks."""
    cell, rows = width // 40, height // 45
    look = ("-an", "-vsync", "passthrough", "-vf", f"crop={width}:{rows}:0:0,format=gray", "-f", "rawvideo", "-")
    raw = subprocess.run(("ffmpeg", "-v", "error", "-i", path, *look), check=True, capture_output=True).stdout
    found = []
    for at in range(0, len(raw), width * rows):
        line = raw[at + rows // 2 * width :][:width]
        bits = "".join("1" if line[n * cell + cell // 2] > 125 else "0" for n in range(40))
        data = int(bits, 2).to_bytes(5, "big")
        valid = data[0] >> 4 == 0b1010 and crc8(data[:4]) == data[4]
        found.append((data[0] & 15, int.from_bytes(data[1:4], "big")) if valid else None)
    return found


def missing(track, seen):
    """How many pictures of a file should have marks and have none. The program may begin with the slate."""
    begun = next((at for at, mark in enumerate(seen) if mark), 0) if track == "program" else 0
    return seen[begun:].count(None)


def of_track(folder, manifest, track):
    """The marks of each recorded frame of a track, by the frame's number."""
    width, height = (int(side) for side in manifest["size"].split("x"))
    found = {}
    for segment in manifest["segments"]:
        if segment["track"] == track:
            pictures = read(f"{folder}/{segment['file']}", width, height)
            found |= dict(enumerate(pictures, start=segment["first_frame"]))
    return found


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 7) & 0xFF if crc & 0x80 else crc << 1
    return crc
