#!/usr/bin/env python3
"""The hands and the panels of the scenario `panels`: every panel that a box can have, each on its own driver, and a
finger on their keys.

usage: panels.py FOLDER      the folder takes what the panels show:
  pictures/N-KEY.jpg    a key picture of the Stream Deck, as it was written, the N-th
  log.jsonl             what was pressed and shown, with the monotonic time
  serial                the serial panel's lamps: " 1=red,steady 2=off,steady … "
  deck                  brightness and number of pictures of the Stream Deck

Commands, one a line on stdin:
  deck plug PRODUCT KEYS · deck unplug · deck press KEY · pad plug · pad unplug · pad press DIGIT
  keyboard plug · taken FILE (writes there whether pad and keyboard have been taken)
  pins PLACE (folder of the simulated chip) · pins press LINE [bounce] · serial open · serial press KEY"""
import functools
import heapq
import json
import operator
import os
import select
import sys
import termios
import time
import tty

from hid_devices import LETTERS, PAD, Deck, Keys

# How long a finger stays on a key.
FINGER_S = 0.06
# A switch that closes: open and closed for so long, in turn, before it stays closed.
BOUNCE_S = (0.0012, 0.0008, 0.0015, 0.0005, 0.001, 0.0007)
SERIAL = "/dev/ttyGS0"
LAMPS = 6


def frame(body):
    check = functools.reduce(operator.xor, body.encode(), 0)
    return f"${body}*{check:02X}\n".encode()


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class Panels:
    def __init__(self, folder):
        self.folder, self.later, self.count = folder, [], 0
        self.deck = self.pad = self.keyboard = self.pins = self.serial = None
        self.heard, self.pictures, self.brightness = b"", 0, None
        self.lamps = ["unknown"] * LAMPS
        self.log = open(f"{folder}/log.jsonl", "a", buffering=1)
        os.makedirs(f"{folder}/pictures", exist_ok=True)

    def note(self, **what):
        self.log.write(json.dumps({"t": round(now(), 6), **what}) + "\n")

    def show(self, name, text):
        with open(f"{self.folder}/{name}.new", "w") as file:
            file.write(text + "\n")
        os.replace(f"{self.folder}/{name}.new", f"{self.folder}/{name}")

    def after(self, seconds, action):
        self.count += 1
        heapq.heappush(self.later, (now() + seconds, self.count, action))

    # Stream Deck
    def picture(self, key, jpeg):
        self.pictures += 1
        name = f"{self.pictures:04d}-{key}.jpg"
        with open(f"{self.folder}/pictures/{name}", "wb") as file:
            file.write(jpeg)
        self.note(panel="deck", key=key, picture=name)
        self.show_deck()

    def setting(self, report):
        if len(report) == 32 and report[:2] == b"\x03\x08":
            self.brightness = report[2]
        self.note(panel="deck", setting=report[:4].hex(), size=len(report))
        self.show_deck()

    def show_deck(self):
        self.show("deck", f" brightness={self.brightness} pictures={self.pictures} ")

    # Serial panel, by the published form of its lines.
    def hear(self):
        try:
            heard = os.read(self.serial, 4096)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            # Pulled: it would be ready to be read for ever.
            os.close(self.serial)
            self.serial, self.heard = None, b""
            return
        self.heard += heard
        *lines, self.heard = self.heard.split(b"\n")
        for line in lines:
            body = line.decode("ascii", "replace").removeprefix("$").partition("*")[0]
            if (line + b"\n").upper() != frame(body).upper():
                self.note(panel="serial", bad=line.decode("ascii", "replace"))
                continue
            word, *values = body.split(",")
            if word == "W":
                self.say(f"H,1,{LAMPS},{LAMPS},guest")
            elif word == "Q":
                self.say(f"P,{values[0]}")
            elif word == "L" and int(values[0]) <= LAMPS:
                self.lamps[int(values[0]) - 1] = ",".join(values[1:])
                self.note(panel="serial", lamp=int(values[0]), shows=",".join(values[1:]))
                self.show("serial", "".join(f" {n}={lamp}" for n, lamp in enumerate(self.lamps, 1)) + " ")

    def say(self, body):
        if self.serial is None:
            return
        try:
            os.write(self.serial, frame(body))
        except OSError as error:
            self.note(panel="serial", error=str(error))

    # Switches
    def pull(self, line, closed):
        with open(f"{self.pins}/sim_gpio{line}/pull", "w") as file:
            file.write("pull-down" if closed else "pull-up")

    def press_pin(self, line, bounces):
        self.pull(line, True)
        for index, pause in enumerate(BOUNCE_S if bounces else ()):
            self.wait(pause)
            self.pull(line, index % 2 == 1)
        self.after(FINGER_S, lambda: self.pull(line, False))

    @staticmethod
    def wait(seconds):
        end = now() + seconds
        while now() < end:
            pass

    # What is asked for.
    def command(self, words):
        match words:
            case ["deck", "plug", product, keys]:
                self.deck = Deck(int(product, 16), int(keys), self.picture, self.setting)
            case ["deck", "unplug"]:
                self.deck = self.deck.unplug()
            case ["deck", "press", key]:
                self.pressed("deck", int(key))
                self.deck.key(int(key), True)
                self.after(FINGER_S, lambda: self.deck.key(int(key), False))
            case ["pad", "plug"]:
                self.pad = Keys("Number pad", "usb-cuebox-2/input0", PAD.values())
            case ["pad", "unplug"]:
                self.pad = self.pad.unplug()
            case ["pad", "press", digit]:
                code = PAD[int(digit)]
                self.pressed("pad", int(digit))
                self.pad.key(code, True)
                self.after(FINGER_S, lambda: self.pad.key(code, False))
            case ["keyboard", "plug"]:
                self.keyboard = Keys("Keyboard", "usb-cuebox-3/input0", [*range(2, 12), *LETTERS, *PAD.values()])
            case ["taken", file]:
                answers = f"pad={self.pad.taken()} keyboard={self.keyboard.taken()}"
                with open(file, "w") as answer:
                    answer.write(answers + "\n")
            case ["pins", "press", line, *how]:
                self.pressed("pins", int(line) + 1)
                self.press_pin(int(line), how == ["bounce"])
            case ["pins", place]:
                self.pins = place
            case ["serial", "open"]:
                self.serial = os.open(SERIAL, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                tty.setraw(self.serial, termios.TCSANOW)
                self.say(f"H,1,{LAMPS},{LAMPS},guest")
            case ["serial", "press", key]:
                self.pressed("serial", int(key))
                self.say(f"K,{key},1")
                self.after(FINGER_S, lambda: self.say(f"K,{key},0"))
            case _:
                raise ValueError(f"unknown command {words}")

    def pressed(self, panel, slot):
        self.note(panel=panel, pressed=slot)

    def run(self):
        rest = b""
        while True:
            wait = max(0, self.later[0][0] - now()) if self.later else None
            watched = [sys.stdin.fileno(), *(part for part in (self.deck and self.deck.fd, self.serial) if part)]
            ready = select.select(watched, [], [], wait)[0]
            if self.deck and self.deck.fd in ready:
                self.deck.read()
            if self.serial in ready:
                self.hear()
            while self.later and self.later[0][0] <= now():
                heapq.heappop(self.later)[2]()
            if sys.stdin.fileno() in ready:
                data = os.read(sys.stdin.fileno(), 4096)
                if not data:
                    return
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.command(line.decode().split())


if __name__ == "__main__":
    Panels(sys.argv[1]).run()
