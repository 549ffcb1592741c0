"""Exposition: the numbers of the ear as text in the format of Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jarvis_ear.control.report_text import COUNTED
from jarvis_ear.health.liveness import Beat
from jarvis_ear.hearing.events import State
from jarvis_ear.turn_trace.turn_counts import FIRST_SOUND, PARTS, HistogramCounts, Totals

if TYPE_CHECKING:
    from prometheus_client.core import Metric

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of the text."""

PREFIX: Final = "jarvis_ear_"
"""Prefix of every name."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers come from. Any thread may call them; none blocks."""

    report: Callable[[], Mapping[str, Any]]
    """The health report, see ``health.report``."""
    totals: Callable[[], Totals]
    frames: Callable[[], int]
    """Frames that the ear has processed, each 20 ms."""
    waiting: Callable[[], int]
    """Utterances without a verdict."""
    beat: Beat


def exposition(sources: Sources) -> str:
    """Return all metrics as of now. The first call imports prometheus_client, in 0.1 s."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 - only if asked

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(sources))
    return generate_latest(registry).decode()


class _Collector:
    """Collects once, for one text. Used by the thread that asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator["Metric"]:
        """Yield the families in the order of docs/metrics.md."""
        report, totals = self._sources.report(), self._sources.totals()
        yield from self._gauges(report)
        yield from self._counters(totals)
        yield from _turns(totals)
        yield from _registry_counters(report["counters"])

    def _gauges(self, report: Mapping[str, Any]) -> Iterator["Metric"]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily  # noqa: PLC0415 - likewise

        def gauge(name: str, text: str, value: float) -> "Metric":
            return GaugeMetricFamily(PREFIX + name, text, value=value)

        build = InfoMetricFamily(PREFIX + "build", "Version of the program; the value is 1.")
        build.add_metric([], {"version": str(report["version"])})
        yield build
        state = GaugeMetricFamily(
            PREFIX + "state", "1 for the state of the ear, 0 for the others.", labels=["state"]
        )
        for each in State:
            state.add_metric([str(each)], float(report["state"] == each))
        yield state
        yield gauge("hearing", "1 while sound comes from the microphone.", report["hearing"])
        yield gauge("muted", "1 while the microphone is muted.", bool(report["muted_by"]))
        connected = bool(report["connected"])
        yield gauge("backend_connected", "1 while the backend is connected.", connected)
        yield gauge("alive", "1 while every part makes progress.", self._sources.beat.is_alive)
        yield gauge("level_dbfs", "RMS level of the newest frame.", report["level_dbfs"])
        floor = "Noise floor: level of the room without speech."
        yield gauge("noise_floor_dbfs", floor, report["noise_floor_dbfs"])
        volume = "Volume of replies, 0 to 1."
        yield gauge("volume_ratio", volume, report["volume_percent"] / 100)
        waiting = "Utterances without a verdict, which the spool holds too."
        yield gauge("utterances_waiting", waiting, self._sources.waiting())
        yield gauge("uptime_seconds", "Time since the start.", report["uptime_s"])
        deaf = "Time without sound since midnight, restarts included."
        yield gauge("deaf_today_seconds", deaf, report["deaf_s_today"])

    def _counters(self, totals: Totals) -> Iterator["Metric"]:
        from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - likewise

        def counter(name: str, text: str, value: float) -> "Metric":
            return CounterMetricFamily(PREFIX + name, text, value=value)

        frames = "Frames of 20 ms that the ear processed."
        yield counter("frames", frames, self._sources.frames())
        again = "How often the backend was reached again."
        yield counter("backend_reconnects", again, totals.reconnects)


def _turns(totals: Totals) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily  # noqa: PLC0415 - likewise

    labelled: tuple[tuple[str, str, str, Mapping[str, float]], ...] = (
        ("wake_words", "Detections that began a turn, by wake word.", "word", totals.wake_words),
        ("state_seconds", "Time spent in each state.", "state", totals.state_s),
        ("turns", "Turns that ended, by verdict.", "verdict", totals.turns),
        ("replies", "Replies with speech, by how much was heard.", "heard", totals.replies),
        ("announcements", "Announcements, by how much was heard.", "heard", totals.announcements),
    )
    for name, text, label, values in labelled:
        family = CounterMetricFamily(PREFIX + name, text, labels=[label])
        for key, value in values.items():
            family.add_metric([key], value)
        yield family
    latency = HistogramMetricFamily(
        PREFIX + "latency_seconds",
        "Parts of the wait for a reply, which follow each other from the end of speech on.",
        labels=["part"],
    )
    for part in PARTS.values():
        latency.add_metric([part], *_histogram(totals.latencies[part]))
    yield latency
    buckets, sum_s = _histogram(totals.latencies[FIRST_SOUND])
    text = "Time from the end of speech to the first sound of the reply."
    yield HistogramMetricFamily(PREFIX + FIRST_SOUND, text, buckets=buckets, sum_value=sum_s)


def _histogram(counts: HistogramCounts) -> tuple[list[tuple[str, float]], float]:
    """Return the buckets as the library takes them, and the sum in seconds."""
    buckets = [
        ("+Inf" if bound == float("inf") else str(bound), float(count))
        for bound, count in counts.cumulated()
    ]
    return buckets, counts.sum_s


def _registry_counters(counters: Mapping[str, int]) -> Iterator["Metric"]:
    """Yield every counter of the status under its own name."""
    from prometheus_client.core import CounterMetricFamily  # noqa: PLC0415 - likewise

    for name, value in sorted(counters.items()):
        text = COUNTED.get(name, name.replace("_", " "))
        yield CounterMetricFamily(PREFIX + name, f"{text[0].upper()}{text[1:]}.", value=value)
