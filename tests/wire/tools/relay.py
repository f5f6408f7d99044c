#!/usr/bin/env python3
"""Two network namespaces and the line between them, in one process.

usage: relay.py BOX_ADDRESS WORLD_ADDRESS

Each namespace has its loopback and one end of the line, a tun device named `line`. What one end sends, the other gets:
after a delay, or never while the line is cut. Rates and losses are set on the devices by the kernel's own means (tc,
nft); delay is here because not every kernel has netem.

stdin:  `delay MS` one way, each way · `cut` · `join`; each is answered with `ok` on stdout.
stdout: first one line of JSON: {"box": PATH, "world": PATH}, the namespaces, for nsenter --net.
Ends, and the line with it, when stdin ends.
"""
import collections
import ctypes
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x0001 | 0x1000
# More than a second of a fast line: what is above is dropped, as a router would.
QUEUE = 4096


def side(address):
    """Moves into a new namespace; gives its handle and its end of the line."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a network namespace could not be made")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"line", IFF_TUN_NO_PI))
    for words in (
        "link set lo up",
        f"address add {address}/24 dev line",
        "link set line up",
    ):
        subprocess.run(["ip", *words.split()], check=True)
    return os.open("/proc/self/ns/net", os.O_RDONLY), tun


def main():
    box, box_tun = side(sys.argv[1])
    world, world_tun = side(sys.argv[2])
    path = f"/proc/{os.getpid()}/fd"
    print(json.dumps({"box": f"{path}/{box}", "world": f"{path}/{world}"}), flush=True)

    delay, cut = 0.0, False
    # What is under way: (when it arrives, packet), for each end.
    under_way = {box_tun: collections.deque(), world_tun: collections.deque()}
    other = {box_tun: world_tun, world_tun: box_tun}
    os.set_blocking(0, False)
    typed = b""
    while True:
        arrivals = [queue[0][0] for queue in under_way.values() if queue]
        wait = max(0.0, min(arrivals) - time.monotonic()) if arrivals else None
        ready, _, _ = select.select([0, box_tun, world_tun], [], [], wait)
        for tun in ready:
            if tun == 0:
                continue
            for _ in range(64):
                try:
                    packet = os.read(tun, 65536)
                except BlockingIOError:
                    break
                if not cut and len(under_way[other[tun]]) < QUEUE:
                    under_way[other[tun]].append((time.monotonic() + delay, packet))
        now = time.monotonic()
        for tun, queue in under_way.items():
            while queue and queue[0][0] <= now:
                try:
                    os.write(tun, queue.popleft()[1])
                except OSError:
                    pass  # the other end does not take it just now: lost, as on any line
        if 0 in ready:
            chunk = os.read(0, 4096)
            if not chunk:
                return
            typed += chunk
            *lines, typed = typed.split(b"\n")
            for line in lines:
                match line.decode().split():
                    case ["delay", milliseconds]:
                        delay = float(milliseconds) / 1000
                    case ["cut"]:
                        cut = True
                        for queue in under_way.values():
                            queue.clear()
                    case ["join"]:
                        cut = False
                    case words:
                        sys.exit(f"not understood: {words}")
                print("ok", flush=True)


if __name__ == "__main__":
    main()
