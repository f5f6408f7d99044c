#!/usr/bin/env python3
"""Follows the box's status over its local socket: prints the document whenever it changed, one JSON object a line,
with the monotonic time at which it was read in "t". Asks five times a second over one connection.
usage: follow_status.py SOCKET"""
import http.client
import json
import socket
import sys
import time

PAUSE_S = 0.2


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def essence(status):
    """The parts of the status that are facts rather than measurements."""
    slots = [{key: slot.get(key) for key in ("number", "state", "why", "device")} for slot in status.get("slots", [])]
    return {"program": status.get("program"), "slots": slots, "recording": status.get("recording", {}).get("state")}


def main():
    connection, last = UnixConnection(sys.argv[1]), None
    while True:
        try:
            connection.request("GET", "/api/v1/status")
            status = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            print(f"{time.monotonic():.3f} {error!r}", file=sys.stderr, flush=True)
            connection.close()
            connection = UnixConnection(sys.argv[1])
            time.sleep(PAUSE_S)
            continue
        now, facts = time.monotonic(), essence(status)
        if facts != last:
            print(json.dumps({"t": round(now, 3), **status}), flush=True)
            last = facts
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
