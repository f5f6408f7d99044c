#!/usr/bin/env python3
"""A TCP proxy that fails as asked.

usage: proxy.py LISTEN_ADDRESS:PORT TARGET_ADDRESS:PORT

stdin, each answered with `ok` on stdout when it holds:
  pass          what comes is handed on
  refuse        nobody listens any more; what is open stays
  stall         what is open, and what is newly opened, stays open and moves nothing
  reset         what is open is reset, and what comes newly is reset as well
  slow BYTES    a second, each way and connection
  drop          what is open is reset, now; new connections as before
stdout: `ok` once it listens.
"""
import asyncio
import contextlib
import socket
import struct
import sys

CHUNK = 16384


class Proxy:
    def __init__(self, listen, target):
        self.listen, self.target = listen, target
        self.mode, self.rate = "pass", None
        self.moving = asyncio.Event()
        self.moving.set()
        self.open = set()
        self.server = None

    async def set(self, words):
        match words:
            case ["drop"]:
                self.reset_open()
                return
            case ["slow", rate]:
                self.mode, self.rate = "pass", int(rate)
            case ["pass" | "refuse" | "stall" | "reset" as mode]:
                self.mode, self.rate = mode, None
            case _:
                sys.exit(f"not understood: {words}")
        if self.mode == "stall":
            self.moving.clear()
        else:
            self.moving.set()
        if self.mode == "reset":
            self.reset_open()
        if self.mode == "refuse":
            await self.close()
        elif self.server is None:
            self.server = await asyncio.start_server(self.serve, *self.listen, limit=CHUNK)

    async def close(self):
        if self.server:
            self.server.close()
            self.server = None

    def reset_open(self):
        for writer in list(self.open):
            # Lingering for zero seconds makes the close a reset.
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            writer.transport.abort()

    async def serve(self, reader, writer):
        self.open.add(writer)
        try:
            if self.mode == "reset":
                self.reset_open()
                return
            await self.moving.wait()
            there_reader, there_writer = await asyncio.open_connection(*self.target, limit=CHUNK)
        except OSError:
            self.open.discard(writer)
            writer.transport.abort()
            return
        self.open.add(there_writer)
        try:
            await asyncio.gather(self.carry(reader, there_writer), self.carry(there_reader, writer))
        finally:
            for one in (writer, there_writer):
                self.open.discard(one)
                one.transport.abort()

    async def carry(self, reader, writer):
        with contextlib.suppress(OSError):
            while True:
                await self.moving.wait()
                size = CHUNK if self.rate is None else max(1, self.rate // 20)
                data = await reader.read(size)
                await self.moving.wait()
                if not data:
                    break
                writer.write(data)
                await writer.drain()
                if self.rate is not None:
                    await asyncio.sleep(len(data) / self.rate)
            if writer.can_write_eof():
                writer.write_eof()


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


async def main():
    proxy = Proxy(address(sys.argv[1]), address(sys.argv[2]))
    await proxy.set(["pass"])
    print("ok", flush=True)
    stdin = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        await proxy.set(line.decode().split())
        print("ok", flush=True)


asyncio.run(main())
