"""Scale: the amount of material in each measurement."""

from dataclasses import dataclass
from typing import Final

from bench.scene import ALTERED


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of one run."""

    cpu_s: float
    """Seconds of sound per room and gate for the CPU figures."""
    quiet_s: float
    """Seconds of real time in each window of whole programs side by side."""
    quiet_windows: int
    """Number of such windows; the figures are their medians."""
    latency_clips: int
    """Recordings whose frames are timed one by one."""
    card_commands: int
    """Recordings spoken to the daemon through the sound card, in real time."""
    memory_s: int
    """Seconds of sound for the process whose memory is measured."""
    starts: int
    """Number of timed process starts."""
    deliveries: int
    """Number of utterances per length and load."""
    lengths_s: tuple[int, ...]
    """Lengths of those utterances."""
    clean_clips: int
    """Recordings per label in a clean room."""
    noisy_clips: int
    """Recordings per noisy room, all labels together."""
    snrs_db: tuple[int, ...]
    """Signal-to-noise ratios."""
    altered: int
    """Number of rooms without noise in which speech does not arrive as it was recorded."""
    negative_s: int
    """Seconds of sound per label that must not wake the ear."""
    console_s: float
    """Seconds for which each number of pages is open, three times."""
    streams: tuple[tuple[int, int], ...]
    """Number of simultaneous speakers, and their seconds of speech."""
    satellites: tuple[int, ...]
    """Numbers of simultaneous satellites."""
    turns: int
    """Utterances of each satellite."""
    bus_clients: int
    """Clients of the event bus."""
    bus_s: float
    """Seconds for which events are published."""
    round_trips: int
    """Number of frames in the loopback measurement."""
    reply_s: float
    """Seconds of the reply in which underruns are counted."""
    sentences: int
    """Sentences for the engines of the backend, of 36."""


FULL: Final = Scale(
    cpu_s=180,
    quiet_s=80,
    quiet_windows=3,
    latency_clips=91,
    card_commands=120,
    memory_s=3600,
    starts=5,
    deliveries=40,
    lengths_s=(1, 5, 25),
    clean_clips=1000,
    noisy_clips=120,
    snrs_db=(20, 10, 5),
    altered=len(ALTERED),
    negative_s=3600,
    console_s=20,
    streams=((1, 3), (1, 10), (1, 25), (4, 10)),
    satellites=(1, 10, 50),
    turns=4,
    bus_clients=200,
    bus_s=20,
    round_trips=1500,
    reply_s=30,
    sentences=36,
)
"""Under a quarter of an hour on two cores."""

QUICK: Final = Scale(
    cpu_s=20,
    quiet_s=30,
    quiet_windows=1,
    latency_clips=10,
    card_commands=5,
    memory_s=300,
    starts=2,
    deliveries=6,
    lengths_s=(1, 5, 25),
    clean_clips=4,
    noisy_clips=8,
    snrs_db=(20, 10, 5),
    altered=len(ALTERED),
    negative_s=20,
    console_s=3,
    streams=((1, 10), (4, 5)),
    satellites=(1, 10),
    turns=2,
    bus_clients=100,
    bus_s=5,
    round_trips=250,
    reply_s=5,
    sentences=6,
)
"""About a minute: shows whether something broke, not how good it is."""

SMOKE: Final = Scale(
    cpu_s=1,
    quiet_s=1,
    quiet_windows=1,
    latency_clips=1,
    card_commands=1,
    memory_s=4,
    starts=1,
    deliveries=1,
    lengths_s=(1,),
    clean_clips=1,
    noisy_clips=1,
    snrs_db=(10,),
    altered=1,
    negative_s=2,
    console_s=0.5,
    streams=((2, 2),),
    satellites=(2,),
    turns=1,
    bus_clients=5,
    bus_s=1,
    round_trips=20,
    reply_s=0.5,
    sentences=1,
)
"""A few seconds, for the test that runs every measurement once."""
