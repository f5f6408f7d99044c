#!/usr/bin/env python3
"""A viewer of a LiveKit room that writes down what it gets, by LiveKit's own client library.

usage: subscriber.py URL API_KEY API_SECRET ROOM IDENTITY

It joins, subscribes to everything, decodes, and joins again for ever when it was thrown out. One JSON value a line on
stdout; `t` is CLOCK_MONOTONIC in milliseconds, `who` the identity, `track` the name of the track:

  {"kind":"joined","t":…}  {"kind":"left","t":…,"why":…}                 this viewer itself
  {"kind":"published","t":…,"who":…,"track":…,"media":"video","source":"camera","codec":"video/h264"}
  {"kind":"unpublished"|"muted"|"unmuted","t":…,"who":…,"track":…,"media":…}
  {"kind":"frame","t":…,"who":…,"track":…,"width":…,"height":…,"slot":…,"frame":…,"pushed_ms":…,"flash":false}
        slot, frame and pushed_ms are those of the frame marks, null in a picture without valid ones
  {"kind":"sound","t":…,"who":…,"track":…,"dbfs":…,"hz":…,"burst_t":…}
        20 ms each; hz is the pitch, null in silence; burst_t is when a burst began in it, else null
  {"kind":"data","t":…,"who":…,"topic":…,"text":…}
  {"kind":"attributes","t":…,"who":…,"attributes":{…}}
  {"kind":"came"|"went","t":…,"who":…}                                   other participants
  {"kind":"stats","t":…,"track":…,"media":…,"bytes":…,"received":…,"lost":…,"freezes":…,"concealed":…,"samples":…}  each second
"""
import asyncio
import json
import signal
import sys
import time

import numpy as np
from livekit import api, rtc
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2 as proto_ffi
from livekit.rtc._proto import video_frame_pb2 as proto_video_frame

RATE = 48_000
# A burst is 1 kHz at -8 dBFS, 20 ms long; the tones between lie at -20 dBFS.
BURST_PEAK = 10 ** (-14 / 20)
SOURCES = {1: "camera", 2: "microphone", 3: "screen_share", 4: "screen_share_audio"}
MEDIA = {1: "audio", 2: "video"}


def now():
    return time.monotonic_ns() / 1e6


def tell(kind, **fields):
    print(json.dumps({"kind": kind, "t": round(fields.pop("t", None) or now(), 2), **fields}), flush=True)


def crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 7) & 255 if crc & 0x80 else crc << 1
    return crc


def cells(luma, row):
    """The five bytes in one row of 40 cells, each read in its middle, or None."""
    height, width = luma.shape
    high, wide = height / 45, width / 40
    if height < 90 or width < 160:
        return None
    lines = luma[int((row + 0.3) * high) : max(int((row + 0.7) * high), int((row + 0.3) * high) + 1)]
    starts = (np.arange(40) + 0.3) * wide
    span = max(int(0.4 * wide), 1)
    columns = starts.astype(int)[:, None] + np.arange(span)[None, :]
    bits = lines[:, columns].mean(axis=(0, 2)) > 125
    five = np.packbits(bits).tobytes()
    return five if crc8(five[:4]) == five[4] else None


def marks(luma):
    first, second = cells(luma, 0), cells(luma, 1)
    if first is None or second is None or first[0] >> 4 != 0b1010:
        return {"slot": None, "frame": None, "pushed_ms": None}
    frame, pushed = int.from_bytes(first[1:4], "big"), int.from_bytes(second[:4], "big")
    return {"slot": first[0] & 15, "frame": frame, "pushed_ms": pushed}


def flash(luma):
    height, width = luma.shape
    corner = luma[height - height // 8 + 2 : height - 2 : 4, width - width // 8 + 2 : width - 2 : 4]
    return bool(corner.size and corner.mean() > 170)


class EveryPicture(rtc.VideoStream):
    """The library's own keeps one picture when two come at once; here a burst after a loss is to be seen whole."""

    def _create_owned_stream(self):
        request = proto_ffi.FfiRequest()
        wanted = request.new_video_stream
        wanted.track_handle = self._track._ffi_handle.handle
        wanted.type = proto_video_frame.VideoStreamType.VIDEO_STREAM_NATIVE
        wanted.format = rtc.VideoBufferType.I420
        wanted.normalize_stride = True
        wanted.queue_size_frames = 90
        return FfiClient.instance.request(request).new_video_stream.stream


async def watch(track, who, name):
    stream = EveryPicture(track)
    async for event in stream:
        t, frame = now(), event.frame
        luma = np.frombuffer(frame.data, np.uint8, frame.width * frame.height).reshape(frame.height, frame.width)
        tell("frame", t=t, who=who, track=name, width=frame.width, height=frame.height, **marks(luma), flash=flash(luma))


def pitch(block):
    """Hz between the first and the last upward crossing of zero, None in silence."""
    below, above = block[:-1], block[1:]
    at = np.nonzero((below < 0) & (above >= 0))[0]
    if len(at) < 3:
        return None
    exact = at - below[at] / (above[at] - below[at])
    return round(float((len(exact) - 1) * RATE / (exact[-1] - exact[0])), 1)


async def listen(track, who, name):
    stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1)
    halves, quiet, first_t, burst = [], 0, 0.0, None
    async for event in stream:
        t = now()
        half = np.frombuffer(event.frame.data, np.int16).astype(np.float32) / 32768
        loud = np.nonzero(np.abs(half) > BURST_PEAK)[0]
        if len(loud) and quiet > 20:
            # What comes at t is played from t on.
            burst = t + float(loud[0]) * 1000 / RATE
        quiet = 0 if len(loud) else quiet + 1
        if not halves:
            first_t = t
        halves.append(half)
        if len(halves) < 2:
            continue
        block = np.concatenate(halves)
        level = float(np.sqrt(np.mean(block**2)))
        tell(
            "sound",
            t=first_t,
            who=who,
            track=name,
            dbfs=round(20 * np.log10(max(level, 1e-6)), 1),
            hz=pitch(block) if level > 1e-3 else None,
            burst_t=burst and round(burst, 2),
        )
        halves, burst = [], None


async def count(track, name, media):
    while True:
        await asyncio.sleep(1)
        for one in await track.get_stats():
            if one.WhichOneof("stats") == "inbound_rtp":
                stream, inbound = one.inbound_rtp.received, one.inbound_rtp.inbound
                tell(
                    "stats",
                    track=name,
                    media=media,
                    bytes=inbound.bytes_received,
                    received=stream.packets_received,
                    lost=stream.packets_lost,
                    freezes=inbound.freeze_count,
                    concealed=inbound.concealed_samples,
                    samples=inbound.total_samples_received,
                )


def describe(publication, participant):
    return {"who": participant.identity, "track": publication.name, "media": MEDIA.get(publication.kind, "?")}


async def visit(url, token):
    """One stay in the room, from the join to whatever ends it."""
    room, gone, tasks = rtc.Room(), asyncio.Event(), {}

    def on_published(publication, participant):
        source = SOURCES.get(publication.source, "unknown")
        tell("published", **describe(publication, participant), source=source, codec=publication.mime_type.lower())

    def on_subscribed(track, publication, participant):
        media = MEDIA.get(publication.kind)
        work = watch if media == "video" else listen
        tell("subscribed", **describe(publication, participant))
        tasks[publication.sid] = [
            asyncio.create_task(work(track, participant.identity, publication.name)),
            asyncio.create_task(count(track, publication.name, media)),
        ]

    def on_unsubscribed(_track, publication, _participant):
        for task in tasks.pop(publication.sid, []):
            task.cancel()

    def on_left(reason):
        tell("left", why=rtc.DisconnectReason.Name(reason))
        gone.set()

    def on_attributes(_changed, participant):
        tell("attributes", who=participant.identity, attributes=dict(participant.attributes))

    def on_came(participant):
        tell("came", who=participant.identity)
        if participant.attributes:
            on_attributes(None, participant)

    def on_data(packet):
        who = packet.participant.identity if packet.participant else None
        tell("data", who=who, topic=packet.topic, text=packet.data.decode(errors="replace"))

    room.on("track_published", on_published)
    room.on("track_subscribed", on_subscribed)
    room.on("track_unsubscribed", on_unsubscribed)
    room.on("track_unpublished", lambda p, who: tell("unpublished", **describe(p, who)))
    room.on("track_muted", lambda who, p: tell("muted", **describe(p, who)))
    room.on("track_unmuted", lambda who, p: tell("unmuted", **describe(p, who)))
    room.on("data_received", on_data)
    room.on("participant_connected", on_came)
    room.on("participant_disconnected", lambda who: tell("went", who=who.identity))
    room.on("participant_attributes_changed", on_attributes)
    room.on("disconnected", on_left)
    try:
        await room.connect(url, token, rtc.RoomOptions(auto_subscribe=True, connect_timeout=2))
        tell("joined")
        for participant in room.remote_participants.values():
            on_came(participant)
            for publication in participant.track_publications.values():
                on_published(publication, participant)
        await gone.wait()
    finally:
        for each in tasks.values():
            for task in each:
                task.cancel()
        await room.disconnect()


async def main():
    url, key, secret, name, identity = sys.argv[1:]
    grants = api.VideoGrants(room_join=True, room=name, can_publish=False)
    token = api.AccessToken(key, secret).with_identity(identity).with_grants(grants).to_jwt()
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    while True:
        try:
            await visit(url, token)
        except rtc.ConnectError as error:
            tell("refused", why=str(error))
        await asyncio.sleep(0.1)


try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
