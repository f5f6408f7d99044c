#!/usr/bin/env python3
"""A USB capture stick in software: UVC 1.0, MJPEG over a bulk endpoint, plugged into this kernel's own vhci_hcd.

usage: usb_stick.py PORT PICTURES [FPS [SERIAL]]
  PORT      port of the virtual controller, 0 to 7
  PICTURES  folder with the JPEG files that it delivers in turn, all of UVC_WIDTH x UVC_HEIGHT (640 x 360)
  FPS       rate that it proposes (15)
  SERIAL    its serial number (made of PORT); "none": it has none, as the cheapest have
Commands, one a line on stdin: plug [PORT], unplug, freeze (stays plugged, delivers nothing), thaw, quit.
Each is told on stdout with the monotonic time, and so is each time that somebody opens the stick.

The kernel takes a USB/IP connection from any socket, so one end of a socket pair is handed to it and this process
answers the requests on the other: no network, no daemon. Bulk, because vhci_hcd has no isochronous timing; the real
uvcvideo driver does everything above it."""
import glob
import os
import socket
import struct
import sys
import threading
import time

ATTACH = "/sys/devices/platform/vhci_hcd.0/attach"
HIGH_SPEED = 3
WIDTH, HEIGHT = int(os.environ.get("UVC_WIDTH", 640)), int(os.environ.get("UVC_HEIGHT", 360))
PACKET, PAYLOAD = 512, 16384
UNIT = 10_000_000  # UVC counts intervals in 100 ns

CMD_SUBMIT, CMD_UNLINK, RET_SUBMIT, RET_UNLINK = 1, 2, 3, 4
EPIPE, ECONNRESET = -32, -104


def descriptor(*parts):
    body = b"".join(parts)
    return bytes([len(body) + 1]) + body


class Descriptors:
    """What the stick says that it is. Numbers are USB's and UVC's, little-endian."""

    def __init__(self, serial, fps):
        self.intervals = [UNIT // rate for rate in (30, 15, 5)]
        self.default = UNIT // fps
        pack = struct.pack
        self.device = pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0xEF, 2, 1, 64, 0x534D, 0x2109, 0x2100, 1, 2, 3 if serial else 0, 1)
        # A camera terminal, as real sticks say; uvcvideo finds no chain behind a composite connector.
        camera = descriptor(b"\x24\x02\x01", pack("<H", 0x0201), bytes(8), b"\x03\0\0\0")
        streaming = descriptor(b"\x24\x03\x02", pack("<H", 0x0101), b"\0\x01\0")
        total = 13 + len(camera) + len(streaming)
        control = descriptor(b"\x24\x01", pack("<HHI", 0x0100, total, 48_000_000), b"\x01\x01") + camera + streaming
        mjpeg = descriptor(b"\x24\x06\x01\x01\x01\x01\0\0\0\0")
        frame = descriptor(
            b"\x24\x07\x01\0",
            pack("<HHIIIIB", WIDTH, HEIGHT, 1_000_000, 200_000_000, WIDTH * HEIGHT * 2, self.default, len(self.intervals)),
            *(pack("<I", interval) for interval in self.intervals),
        )
        colour = descriptor(b"\x24\x0d\x01\x01\x04")
        formats = mjpeg + frame + colour
        header = descriptor(b"\x24\x01\x01", pack("<H", 14 + len(formats)), b"\x81\0\x02\0\0\0\x01\0")
        body = (
            descriptor(b"\x0b\0\x02\x0e\x03\0\0")  # both interfaces are one video function
            + descriptor(b"\x04\0\0\0\x0e\x01\0\0")
            + control
            + descriptor(b"\x04\x01\0\x01\x0e\x02\0\0")
            + header
            + formats
            + descriptor(b"\x05\x81\x02", pack("<H", PACKET), b"\0")
        )
        self.configuration = pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 250) + body
        self.strings = {1: "MACROSILICON", 2: "USB3. 0 capture", 3: serial}

    def string(self, index):
        text = struct.pack("<H", 0x409) if index == 0 else self.strings.get(index, "?").encode("utf-16le")
        return bytes([len(text) + 2, 3]) + text

    def probe(self, interval):
        return struct.pack("<HBBIHHHHHII", 1, 1, 1, interval, 0, 0, 0, 0, 0, WIDTH * HEIGHT * 2, PAYLOAD)


def attach(line):
    """Hands a socket to the controller, whose port is busy for a moment after an unplugging."""
    end = time.monotonic() + 5
    while True:
        try:
            with open(ATTACH, "w") as file:
                file.write(line)
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


class Connection:
    """One plugging of the stick; over when its socket is closed."""

    def __init__(self, stick):
        self.stick = stick
        kernel, self.sock = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.requests = threading.Condition()
        self.waiting = []  # picture requests: (sequence number, bytes)
        self.open = True
        self.interval = stick.descriptors.default
        attach(f"{stick.port} {kernel.fileno()} {0x10000 + stick.port} {HIGH_SPEED}")
        kernel.close()
        for work in (self.receive, self.deliver):
            threading.Thread(target=self.until_closed, args=(work,), daemon=True).start()

    def close(self):
        with self.requests:
            self.open = False
            self.requests.notify_all()
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def until_closed(self, work):
        try:
            work()
        except (EOFError, OSError):
            pass

    def read(self, count):
        data = b""
        while len(data) < count:
            chunk = self.sock.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def answer(self, sequence, status, data, length):
        head = struct.pack(">5I", RET_SUBMIT, sequence, 0, 0, 0) + struct.pack(">iiiiI", status, length, 0, 0, 0)
        self.sock.sendall(head + bytes(8) + data)

    def receive(self):
        while self.open:
            head = self.read(48)
            command, sequence, _, inwards, endpoint = struct.unpack(">5I", head[:20])
            if command == CMD_UNLINK:
                self.unlink(sequence, struct.unpack(">I", head[20:24])[0])
                continue
            _, length = struct.unpack(">Ii", head[20:28])
            data = self.read(length) if not inwards and length > 0 else b""
            if endpoint == 0:
                status, reply = self.control(head[40:48], data)
                taken = len(reply) if inwards else (length if status == 0 else 0)
                with self.requests:
                    self.answer(sequence, status, reply if inwards else b"", taken)
            else:
                with self.requests:
                    self.waiting.append((sequence, length))
                    self.requests.notify()

    def unlink(self, sequence, target):
        with self.requests:
            found = any(request[0] == target for request in self.waiting)
            self.waiting = [request for request in self.waiting if request[0] != target]
            status = struct.pack(">i", ECONNRESET if found else 0)
            self.sock.sendall(struct.pack(">5I", RET_UNLINK, sequence, 0, 0, 0) + status + bytes(24))

    def control(self, setup, data):
        """Answers a control request: (status, bytes)."""
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        said = self.stick.descriptors
        if (kind, request) == (0x80, 6):
            tables = {1: lambda: said.device, 2: lambda: said.configuration, 3: lambda: said.string(value & 255)}
            table = tables.get(value >> 8)
            return (0, table()[:length]) if table else (EPIPE, b"")
        if kind & 0x60 == 0:
            return 0, bytes(min(length, 2)) if kind & 0x80 else b""
        if kind in (0x21, 0xA1) and index & 255 == 1:
            if request == 0x01 and value >> 8 == 2:
                self.stick.tell("opened")
            return self.negotiate(request, data, length)
        return EPIPE, b""

    def negotiate(self, request, data, length):
        """The streaming interface's probe and commit."""
        if request == 0x01:  # SET_CUR
            asked = struct.unpack("<I", data[4:8])[0]
            self.interval = min(self.stick.descriptors.intervals, key=lambda offered: abs(offered - asked))
            return 0, b""
        if request == 0x85:  # GET_LEN
            return 0, struct.pack("<H", 26)
        if request == 0x86:  # GET_INFO
            return 0, b"\x03"
        return 0, self.stick.descriptors.probe(self.interval)[:length]

    def deliver(self):
        count, due, toggle = 0, time.monotonic(), 0
        while self.open:
            with self.requests:
                while not self.waiting and self.open:
                    self.requests.wait(0.2)
                    due = max(due, time.monotonic())
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + self.interval / UNIT, time.monotonic() - 0.5)
            if not self.stick.frozen:
                toggle ^= 1
                self.picture(self.stick.pictures[count % len(self.stick.pictures)], toggle)
                count += 1

    def picture(self, jpeg, toggle):
        sent = 0
        while sent < len(jpeg) and self.open:
            with self.requests:
                if not self.requests.wait_for(lambda: self.waiting or not self.open, 0.5) or not self.open:
                    return
                sequence, length = self.waiting.pop(0)
                chunk = jpeg[sent : sent + min(length, PAYLOAD) - 2]
                sent += len(chunk)
                last = 2 if sent >= len(jpeg) else 0
                payload = bytes([2, 0x80 | toggle | last]) + chunk
                self.answer(sequence, 0, payload, len(payload))


class Stick:
    def __init__(self, port, folder, fps, serial):
        self.port = port
        self.descriptors = Descriptors(serial, fps)
        self.pictures = [open(name, "rb").read() for name in sorted(glob.glob(folder + "/*.jpg"))]
        if not self.pictures:
            sys.exit(f"no JPEG files in {folder}")
        self.frozen = False
        self.connection = None

    def plug(self, port):
        if not self.connection:
            self.port = port
            self.connection = Connection(self)

    def unplug(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def obey(self, command, *port):
        if command == "plug":
            self.plug(int(*port) if port else self.port)
        elif command == "unplug":
            self.unplug()
        elif command in ("freeze", "thaw"):
            self.frozen = command == "freeze"
        else:
            sys.exit(f"unknown command: {command}")
        self.tell(command)

    def tell(self, what):
        print(f"{time.monotonic():.3f} {what}", flush=True)


def main():
    if len(sys.argv) not in (3, 4, 5):
        sys.exit(__doc__)
    port, folder, fps, serial = (sys.argv[1:] + ["15", f"SIM{int(sys.argv[1]):04d}"][len(sys.argv) - 3 :])[:4]
    stick = Stick(int(port), folder, int(fps), None if serial == "none" else serial)
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        stick.obey(*line.split())
    stick.unplug()


if __name__ == "__main__":
    main()
