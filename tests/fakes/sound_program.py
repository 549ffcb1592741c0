"""Stands in for the sound server: a process with a room of its own, and with faults on demand.

The last argument is the descriptor. ``take`` of 1 sample finds the device gone, of 2 it hangs, of 3
it crashes; a device named "hang" never opens.
"""

import os
import signal
import sys
import threading

from fakes.portaudio import Card, FakeSoundDevice
from jarvis_ear.devices.portaudio import PortAudio
from jarvis_ear.devices.sound_library import Device, RawInput, StreamFailed, Taken
from jarvis_ear.devices.sound_server import MessagePipe, SoundServer


class _Stream:
    channels = 1
    latency = 0.25

    def __init__(self, device: Device, rate: int) -> None:
        self.device = device
        self.rate = rate

    def take(self, least: int, most: int) -> Taken:
        match least:
            case 1:
                raise StreamFailed("gone")
            case 2:
                threading.Event().wait()
            case 3:
                os.kill(os.getpid(), signal.SIGSEGV)
        return Taken(bytes(2 * most), waiting=1234)

    def close(self) -> None:
        pass


class _Library(PortAudio):
    def find_input(self, wanted: str) -> Device:
        return super().find_input("" if wanted == "hang" else wanted)

    def open_input(
        self, wanted: str, *, rate: int, latency_s: float, channel: str = "0"
    ) -> RawInput:
        if wanted == "hang":
            threading.Event().wait()
        opened = super().open_input(wanted, rate=rate, latency_s=latency_s, channel=channel)
        return _Stream(opened.device, opened.rate)


if __name__ == "__main__":
    room = FakeSoundDevice(Card("box"), host_api="OSS")
    SoundServer(MessagePipe(int(sys.argv[1])), lambda: _Library(lambda: room)).serve()
