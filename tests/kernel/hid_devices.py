"""USB devices in software that people press: a Stream Deck by /dev/uhid, number pads and keyboards by /dev/uinput. The
kernel's own hidraw and evdev carry them to whoever reads there. Used by panels.py."""
import fcntl
import glob
import os
import struct

VENDOR = 0x0FD9
# Of uhid: what is told by its number, in both directions.
DESTROY, OUTPUT, GET_REPORT, GET_REPORT_REPLY, CREATE2, INPUT2, SET_REPORT, SET_REPORT_REPLY = 1, 6, 9, 10, 11, 12, 13, 14
DATA = 4096
BUS_USB = 3


def item(code, *value):
    return bytes([code, *value])


def report_descriptor():
    """Input report 1 of 512 bytes, output report 2 of 1024, feature reports of 32: a Stream Deck of the second kind."""
    usage = item(0x0A, 0x00, 0xFF)
    numbers = item(0x15, 0) + item(0x26, 0xFF, 0) + item(0x75, 8)
    reports = item(0x85, 1) + usage + numbers + item(0x96, 0xFF, 1) + item(0x81, 2)
    reports += item(0x85, 2) + usage + item(0x96, 0xFF, 3) + item(0x91, 2)
    for number in range(3, 14):
        reports += item(0x85, number) + usage + item(0x95, 31) + item(0xB1, 2)
    return item(0x05, 0x0C) + item(0x09, 1) + item(0xA1, 1) + reports + item(0xC0)


class Deck:
    """Takes key pictures and settings as the device does, and says which keys are down."""

    def __init__(self, product, keys, picture, setting):
        """`picture(key, jpeg)` and `setting(report)` are called with what was written; keys count from 1."""
        self.keys, self.picture, self.setting = [False] * keys, picture, setting
        self.parts = {}
        self.fd = os.open("/dev/uhid", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        descriptor = report_descriptor()
        names = (b"Stream Deck", b"usb-cuebox-1/input0", b"CB0001")
        head = struct.pack("<I128s64s64sHHIIII", CREATE2, *names, len(descriptor), BUS_USB, VENDOR, product, 0x200, 0)
        os.write(self.fd, head + descriptor.ljust(DATA, b"\0"))

    def read(self):
        """One of the kernel's requests."""
        try:
            event = os.read(self.fd, 8192)
        except BlockingIOError:
            return
        (kind,) = struct.unpack_from("<I", event)
        body = event[4:]
        if kind == OUTPUT:
            size, _ = struct.unpack_from("<HB", body, DATA)
            self.output(body[:size])
        elif kind == SET_REPORT:
            number, _, _, size = struct.unpack_from("<IBBH", body)
            self.setting(body[8 : 8 + size])
            os.write(self.fd, struct.pack("<IIH", SET_REPORT_REPLY, number, 0))
        elif kind == GET_REPORT:
            (number,) = struct.unpack_from("<I", body)
            os.write(self.fd, struct.pack("<IIHH", GET_REPORT_REPLY, number, 5, 0))

    def output(self, report):
        if len(report) != 1024 or report[:2] != b"\x02\x07":
            raise ValueError(f"no picture report: {len(report)} bytes, {report[:8].hex()}")
        key, last, length, page = struct.unpack_from("<BBHH", report, 2)
        parts = self.parts.setdefault(key, [])
        if page != len(parts) or length > 1016:
            raise ValueError(f"key {key}: page {page} of {length} bytes after {len(parts)} pages")
        parts.append(report[8 : 8 + length])
        if last:
            self.picture(key + 1, b"".join(self.parts.pop(key)))

    def key(self, number, down):
        self.keys[number - 1] = down
        report = struct.pack("<BBH", 1, 0, len(self.keys)) + bytes(self.keys)
        os.write(self.fd, struct.pack("<IH", INPUT2, 512) + report.ljust(512, b"\0"))

    def unplug(self):
        os.write(self.fd, struct.pack("<I", DESTROY))
        os.close(self.fd)


# Of uinput and evdev.
UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_PHYS = 0x40045564, 0x40045565, 0x4008556C
UI_DEV_SETUP, UI_DEV_CREATE, UI_DEV_DESTROY, UI_GET_SYSNAME = 0x405C5503, 0x5501, 0x5502, 0x8040552C
EVIOCGRAB = 0x40044590
EV_SYN, EV_KEY = 0, 1
# Key codes of a number pad: 1 to 5, 0, Enter, and the others that it has.
PAD = {1: 79, 2: 80, 3: 81, 4: 75, 5: 76, 6: 77, 7: 71, 8: 72, 9: 73, 0: 82, "enter": 96, "plus": 78, "minus": 74}
LETTERS = range(16, 58)


class Keys:
    """An input device with keys."""

    def __init__(self, name, place, codes):
        self.fd = os.open("/dev/uinput", os.O_WRONLY | os.O_CLOEXEC)
        fcntl.ioctl(self.fd, UI_SET_EVBIT, EV_KEY)
        for code in codes:
            fcntl.ioctl(self.fd, UI_SET_KEYBIT, code)
        fcntl.ioctl(self.fd, UI_SET_PHYS, place.encode() + b"\0")
        fcntl.ioctl(self.fd, UI_DEV_SETUP, struct.pack("<HHHH80sI", BUS_USB, 0x1A2C, 0x2124, 1, name.encode(), 0))
        fcntl.ioctl(self.fd, UI_DEV_CREATE)
        sysname = fcntl.ioctl(self.fd, UI_GET_SYSNAME, bytes(64)).rstrip(b"\0").decode()
        (event,) = glob.glob(f"/sys/devices/virtual/input/{sysname}/event*")
        self.node = f"/dev/input/{os.path.basename(event)}"

    def key(self, code, down):
        for kind, code, value in ((EV_KEY, code, int(down)), (EV_SYN, 0, 0)):
            os.write(self.fd, struct.pack("<qqHHi", 0, 0, kind, code, value))

    def taken(self):
        """Whether somebody has it for himself alone."""
        with open(self.node, "rb") as node:
            try:
                fcntl.ioctl(node, EVIOCGRAB, 1)
            except OSError:
                return True
            fcntl.ioctl(node, EVIOCGRAB, 0)
            return False

    def unplug(self):
        fcntl.ioctl(self.fd, UI_DEV_DESTROY)
        os.close(self.fd)
