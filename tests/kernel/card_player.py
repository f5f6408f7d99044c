#!/usr/bin/env python3
"""Plays into a loopback sound card what its capture side then hears, and notes how fast the card's clock runs.

usage: card_player.py CARD TONE_HZ LOG      until it is ended, or its card is gone

Heard are a tone and, at the beginning of each second of the card's own clock, a burst of 1 kHz. A line of LOG is a time
on the monotonic clock and the number of frames that the card has played by then."""
import array
import ctypes
import math
import sys
import time

RATE = 48_000
TONE, BURST, BURST_HZ, BURST_FRAMES = 0.1, 0.4, 1_000, RATE // 50
BLOCK = RATE // 50
PLAYBACK, S16_LE, INTERLEAVED = 0, 2, 3
LATENCY_US = 200_000


def second(tone_hz):
    """One second of what is played: 16 bits, two channels, interleaved."""
    samples = array.array("h")
    for frame in range(RATE):
        peak, hz = (BURST, BURST_HZ) if frame < BURST_FRAMES else (TONE, tone_hz)
        samples.extend([round(32_767 * peak * math.sin(math.tau * hz * frame / RATE))] * 2)
    return samples.tobytes()


def main():
    card, tone_hz, log = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    alsa = ctypes.CDLL("libasound.so.2")
    alsa.snd_strerror.restype = ctypes.c_char_p
    alsa.snd_pcm_writei.restype = ctypes.c_long
    alsa.snd_pcm_writei.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_ulong)

    def done(result):
        if result < 0:
            sys.exit(f"{card}: {alsa.snd_strerror(int(result)).decode()}")
        return result

    pcm = ctypes.c_void_p()
    done(alsa.snd_pcm_open(ctypes.byref(pcm), f"hw:{card},0,0".encode(), PLAYBACK, 0))
    done(alsa.snd_pcm_set_params(pcm, S16_LE, INTERLEAVED, 2, RATE, 0, LATENCY_US))
    heard, written, waiting = second(tone_hz), 0, ctypes.c_long()
    with open(log, "w", buffering=1) as file:
        while True:
            at = 4 * (written % RATE)
            written += done(alsa.snd_pcm_writei(pcm, heard[at : at + 4 * BLOCK], BLOCK))
            # While the first blocks are written it does not run yet.
            if written * 1_000_000 > LATENCY_US * RATE * 2:
                done(alsa.snd_pcm_delay(pcm, ctypes.byref(waiting)))
                file.write(f"{time.monotonic():.6f} {written - waiting.value}\n")


if __name__ == "__main__":
    main()
