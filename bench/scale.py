"""How much of everything is measured."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of a run."""

    cpu_s: float
    """Seconds of sound per room and gate for the CPU figures."""
    quiet_s: float
    """Seconds of real time in which whole programs are measured side by side."""
    quiet_windows: int
    """How many such windows; the figures are their medians."""
    latency_clips: int
    """Recordings whose frames are timed one by one."""
    memory_s: int
    """Seconds of sound that the process hears whose memory is watched."""
    starts: int
    """Process starts that are timed."""
    deliveries: int
    """Utterances sent per length and load."""
    lengths_s: tuple[int, ...]
    """Lengths of those utterances."""
    clean_clips: int
    """Recordings per label in a clean room."""
    noisy_clips: int
    """Recordings per noisy room, all labels together."""
    snrs_db: tuple[int, ...]
    """Distances between speech and noise."""
    negative_s: int
    """Seconds of sound per label that must not wake anybody."""
    console_s: float
    """Seconds for which each number of pages is open, three times."""
    streams: tuple[tuple[int, int], ...]
    """People who speak to the backend at once, and for how many seconds."""
    satellites: tuple[int, ...]
    """Satellites that send utterances to it at once."""
    turns: int
    """Utterances of each."""
    bus_clients: int
    """Clients of the event bus."""
    bus_s: float
    """How long events are published there."""
    round_trips: int
    """Frames that are sent to come back."""


FULL: Final = Scale(
    cpu_s=180,
    quiet_s=240,
    quiet_windows=3,
    latency_clips=91,
    memory_s=3600,
    starts=5,
    deliveries=40,
    lengths_s=(1, 5, 25),
    clean_clips=1000,
    noisy_clips=120,
    snrs_db=(20, 10, 5),
    negative_s=3600,
    console_s=20,
    streams=((1, 3), (1, 10), (1, 25), (4, 10)),
    satellites=(1, 10, 50),
    turns=4,
    bus_clients=200,
    bus_s=20,
    round_trips=1500,
)
"""Under a quarter of an hour on two cores."""

QUICK: Final = Scale(
    cpu_s=20,
    quiet_s=30,
    quiet_windows=1,
    latency_clips=10,
    memory_s=300,
    starts=2,
    deliveries=6,
    lengths_s=(1, 5, 25),
    clean_clips=4,
    noisy_clips=8,
    snrs_db=(20, 10, 5),
    negative_s=20,
    console_s=3,
    streams=((1, 10), (4, 5)),
    satellites=(1, 10),
    turns=2,
    bus_clients=100,
    bus_s=5,
    round_trips=250,
)
"""About a minute: whether something broke, not how good it is."""

SMOKE: Final = Scale(
    cpu_s=1,
    quiet_s=1,
    quiet_windows=1,
    latency_clips=1,
    memory_s=4,
    starts=1,
    deliveries=1,
    lengths_s=(1,),
    clean_clips=1,
    noisy_clips=1,
    snrs_db=(10,),
    negative_s=2,
    console_s=0.5,
    streams=((2, 2),),
    satellites=(2,),
    turns=1,
    bus_clients=5,
    bus_s=1,
    round_trips=20,
)
"""Seconds, for the test that runs every measurement once."""
