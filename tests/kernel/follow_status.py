#!/usr/bin/env python3
"""Follows the box's status over its local socket: prints the document whenever it changed, one JSON object a line,
with the monotonic time at which it was read in "t". Asks five times a second over one connection.

It also waits for others, because starting a Python for each question costs more than the box's work meanwhile: a line
`SECONDS<tab>EXPRESSION` on standard input is answered by a line `yes` on ANSWERS as soon as the expression holds of the
newest status `s`, or by `no` after so many seconds.
usage: follow_status.py SOCKET ANSWERS"""
import http.client
import json
import os
import select
import socket
import sys
import time

PAUSE_S = 0.2
# While somebody waits.
HURRY_S = 0.1


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Question:
    def __init__(self, line):
        seconds, _, expression = line.partition("\t")
        self.end = time.monotonic() + float(seconds)
        self.holds = compile(expression.strip(), "question", "eval")

    def answer(self, status):
        if status is not None and eval(self.holds, {"s": status}):
            return "yes\n"
        return "no\n" if time.monotonic() > self.end else None


def essence(status):
    """The parts of the status that are facts rather than measurements."""
    slots = [{key: slot.get(key) for key in ("number", "state", "why", "device")} for slot in status.get("slots", [])]
    return {"program": status.get("program"), "slots": slots, "recording": status.get("recording", {}).get("state")}


def ask(connection):
    try:
        connection.request("GET", "/api/v1/status")
        return json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"{time.monotonic():.3f} {error!r}", file=sys.stderr, flush=True)
        # It connects anew with the next request.
        connection.close()
        return None


def main():
    connection, last, question = UnixConnection(sys.argv[1]), None, None
    with open(sys.argv[2], "w") as answers:
        while True:
            status = ask(connection)
            now = time.monotonic()
            if status is not None and essence(status) != last:
                print(json.dumps({"t": round(now, 3), **status}), flush=True)
                last = essence(status)
            if question and (answer := question.answer(status)):
                answers.write(answer)
                answers.flush()
                question = None
            waiting = [] if question else [sys.stdin]
            if select.select(waiting, [], [], HURRY_S if question else PAUSE_S)[0]:
                # Not readline(): what it would read ahead, select would not see.
                question = Question(os.read(sys.stdin.fileno(), 4096).decode())


if __name__ == "__main__":
    main()
