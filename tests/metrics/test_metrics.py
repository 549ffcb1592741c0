"""The metrics: what they count, that Prometheus can read them, and who may ask over HTTP."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fakes.clock import FakeClock
from fakes.program import run
from fakes.running_ear import RunningEar, run_verb
from fakes.turns import TURN, ScriptedTurns
from fakes.voice_server import free_port, wait_until
from jarvis_ear.audio.wav import pcm_to_wav
from jarvis_ear.config import MetricsOptions
from jarvis_ear.control.report_text import COUNTED
from jarvis_ear.delivery.events import Announced, LinkUp, ReplyAudio, Verdict
from jarvis_ear.delivery.playback import PlaybackEnded, PlaybackStarted
from jarvis_ear.health.liveness import STALE_S, Beat, Part
from jarvis_ear.hearing.events import State
from jarvis_ear.metrics import server
from jarvis_ear.metrics.exposition import Sources, exposition
from jarvis_ear.metrics.server import MetricsServer
from jarvis_ear.turn_trace.turn_counts import BOUNDS_S, Histogram, TurnCounts

DOCS = Path(__file__).parents[2] / "docs"
REPORT = {
    "state": "deaf",
    "hearing": False,
    "muted_by": ["owner"],
    "connected": True,
    "level_dbfs": -51.5,
    "noise_floor_dbfs": -60.0,
    "volume_percent": 40,
    "uptime_s": 77,
    "deaf_s_today": 3.5,
    "counters": {**dict.fromkeys(COUNTED, 0), "near_misses": 3, "a_new_one": 1},
    "version": '0.1 "quoted"',
}


class Ear:
    """Sources of metrics, with a clock of the test."""

    def __init__(self):
        self.clock = FakeClock()
        self.counts = TurnCounts(now=lambda: self.clock.now)
        self.turns = ScriptedTurns(self.counts)
        self.clock = self.turns.clock
        self.beats = 0
        self.beat = Beat([Part("sound", lambda: self.beats)], monotonic=self.clock.monotonic)
        self.sources = Sources(
            lambda: REPORT, self.counts.read, lambda: 50, lambda: 2, beat=self.beat
        )

    def look(self, *, moves: bool = True):
        self.beats += moves
        self.clock.now += 1
        self.beat.look()


def samples_of(text: str) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus itself reads it."""
    return {
        sample.name + "".join(f"/{label}" for label in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def ear():
    return Ear()


def test_a_turn_is_counted_with_its_verdict_its_reply_and_every_part_of_its_latency(ear):
    turns = ear.turns
    turns.wake().wait(500).capture().wait(40).send().wait(250)
    turns.tell(LinkUp("http://a", None), LinkUp("http://a", 2.5))
    turns.tell(PlaybackStarted(TURN)).enter(State.SPEAKING, "ReplyStarted")
    turns.finish(Verdict.DONE, chunks=1).wait(2000).tell(PlaybackEnded(TURN))
    turns.enter(State.IDLE, "ReplyEnded")
    turns.tell(Announced("say", (ReplyAudio("say", 0, "", b"x"),)), PlaybackEnded("say"))
    turns.wake("cd").wait(5000).enter(State.DEAF, "MicrophoneLost").wait(7000)
    turns.history.close()
    found = samples_of(exposition(ear.sources))
    assert found["jarvis_ear_wake_words_total/Hey Jarvis"] == 2
    assert found["jarvis_ear_backend_reconnects_total"] == 1
    assert found["jarvis_ear_turns_total/done"] == 1
    assert found["jarvis_ear_turns_total/unfinished"] == 1
    assert sum(each for name, each in found.items() if name.startswith("jarvis_ear_turns_")) == 2
    assert found["jarvis_ear_replies_total/all"] == 1
    assert found["jarvis_ear_announcements_total/all"] == 1
    assert found["jarvis_ear_state_seconds_total/deaf"] == pytest.approx(7)
    assert found["jarvis_ear_state_seconds_total/listening"] == pytest.approx(5.5)
    parts = {"endpoint": 0.8, "upload": 0.04, "answer": 0.25}
    for part, spent_s in parts.items():
        assert found[f"jarvis_ear_latency_seconds_sum/{part}"] == pytest.approx(spent_s)
        assert found[f"jarvis_ear_latency_seconds_count/{part}"] == 1
    assert found["jarvis_ear_latency_seconds_bucket/0.75/endpoint"] == 0
    assert found["jarvis_ear_latency_seconds_bucket/1.0/endpoint"] == 1
    assert found["jarvis_ear_latency_seconds_count/waiting"] == 0
    assert found["jarvis_ear_first_sound_seconds_sum"] == pytest.approx(1.09)
    assert found["jarvis_ear_first_sound_seconds_bucket/+Inf"] == 1


def test_a_histogram_has_the_same_size_whatever_it_observes():
    histogram = Histogram()
    for duration_s in (-1.0, 0.05, 0.051, 60.0, 1e9, *[0.4] * 10_000):
        histogram.observe(duration_s)
    counted = histogram.read().cumulated()
    assert [bound for bound, _ in counted] == [*BOUNDS_S, float("inf")]
    assert dict(counted)[0.05] == 2
    assert dict(counted)[0.1] == 3
    assert [count for _, count in counted[-2:]] == [10_004, 10_005]
    assert histogram.read().sum_s == pytest.approx(1e9 + 4060.101)


def test_the_report_and_the_registry_of_counters_are_exposed(ear):
    found = samples_of(exposition(ear.sources))
    assert found['jarvis_ear_build_info/0.1 "quoted"'] == 1
    assert (found["jarvis_ear_state/deaf"], found["jarvis_ear_state/idle"]) == (1, 0)
    assert found["jarvis_ear_muted"] == found["jarvis_ear_backend_connected"] == 1
    assert found["jarvis_ear_alive"] == 1
    assert found["jarvis_ear_level_dbfs"] == -51.5
    assert found["jarvis_ear_volume_ratio"] == 0.4
    assert (found["jarvis_ear_frames_total"], found["jarvis_ear_utterances_waiting"]) == (50, 2)
    assert found["jarvis_ear_near_misses_total"] == 3
    assert found["jarvis_ear_a_new_one_total"] == 1
    assert {f"jarvis_ear_{name}_total" for name in COUNTED} <= set(found)


def test_names_are_those_of_the_conventions_and_each_has_a_meaning(ear):
    text = exposition(ear.sources)
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"jarvis_ear_[a-z_]+", name) for name in names)
    assert all(family.documentation.endswith(".") for family in families)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    assert all(name.endswith("_total") is (kind == "counter") for name, kind in kinds.items())
    assert all(name.endswith("_seconds") for name, kind in kinds.items() if kind == "histogram")


def test_each_metric_that_the_dashboard_queries_exists(ear):
    board = json.loads((DOCS / "grafana" / "jarvis-ear.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [each["query"] for each in board["templating"]["list"]]
    queries += re.findall(r"`([^`]*jarvis_ear_[^`]*)`", (DOCS / "metrics.md").read_text())
    asked = {name for query in queries for name in re.findall(r"jarvis_ear_\w+", query)}
    exposed = {name.partition("/")[0] for name in samples_of(exposition(ear.sources))}
    exposed |= {"jarvis_ear_latency_seconds", "jarvis_ear_first_sound_seconds"}  # the families
    assert len(asked) > 15
    assert asked - exposed == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_beat_is_that_of_the_watchdog(ear):
    ear.look()
    assert ear.beat.is_alive
    ear.look(moves=False)
    assert not ear.beat.is_alive  # a part is stuck
    ear.look()
    ear.clock.now += STALE_S + 1
    assert not ear.beat.is_alive  # nobody looks: the main thread hangs


@pytest.fixture
def port(ear):
    number = free_port()
    made = MetricsServer(MetricsOptions(port=number))
    made.connect(ear.sources)
    ear.server = made
    with made:
        yield number
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", number), 5)


def get(port, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def sent(port, data: bytes) -> bytes:
    """What the server answers to these bytes until it closes."""
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(data)
        with client.makefile("rb") as answer:
            return answer.read()


def test_the_metrics_and_the_health_are_served(ear, port):
    status, media, text = get(port, "/metrics?x=1")
    assert (status, media) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert samples_of(text).keys() == samples_of(ear.server.text()).keys()
    ear.look()
    assert get(port, "/healthz") == (
        *(200, "application/json"),
        '{"alive": true, "beat": 1, "stuck": []}\n',
    )
    ear.look(moves=False)
    status, _, text = get(port, "/healthz")
    assert (status, json.loads(text)) == (503, {"alive": False, "beat": 1, "stuck": ["sound"]})
    assert ear.server.refused == 0


HOSTS = {
    200: (
        "127.0.0.1:{}",
        "localhost",
        "LOCALHOST:{}",
        "[::1]:{}",
        "192.168.1.5",
        socket.gethostname(),
    ),
    403: (
        "evil.example:{}",
        "127.0.0.1.evil.example",
        "",
        "localhost:{}x",
        "localhost.evil.example",
    ),
}


def test_a_page_of_another_site_that_rebinds_its_name_is_refused(ear, port):
    for status, hosts in HOSTS.items():
        for host in hosts:
            assert get(port, "/metrics", Host=host.format(port))[0] == status, host
    assert sent(port, b"GET /metrics HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403")
    two = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert sent(port, two).startswith(b"HTTP/1.1 403")
    assert ear.server.counters() == {"metrics_refused": len(HOSTS[403]) + 2}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", 405),
        (b"\0\xff\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000, 431),
    ],
)
def test_a_strange_request_gets_a_status(ear, port, request_, status):
    assert sent(port, request_).startswith(f"HTTP/1.1 {status} ".encode())
    assert ear.server.refused == 1


def test_clients_that_say_nothing_or_half_are_closed_and_do_not_keep_others_out(
    ear, port, monkeypatch, caplog
):
    monkeypatch.setattr(server, "CLIENT_S", 0.3)
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 2)
    half = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(2)]
    for client in half:
        client.sendall(b"GET /metr")
    wait_until(lambda: ear.server._connections == 2)
    assert sent(port, b"") == b""  # one too many
    for client in half:
        assert client.recv(10) == b""
        client.close()
    assert ear.server.refused == 3
    assert get(port, "/healthz")[0] == 200
    assert [each for each in caplog.records if each.levelname != "DEBUG"] == []


def test_other_options_move_the_server_and_a_port_that_is_taken_is_told(ear, caplog):
    made = MetricsServer(MetricsOptions())
    made.connect(ear.sources)
    with made, socket.create_server(("127.0.0.1", 0)) as other:
        threads = threading.active_count()
        first, taken = free_port(), other.getsockname()[1]
        made.change(MetricsOptions(port=first))
        assert get(first, "/healthz")[0] == 200
        made.change(MetricsOptions(port=taken))
        [told] = [each for each in caplog.records if each.levelname == "WARNING"]
        assert told.EVENT == "MetricsTrouble"
        place = told.PLACE
        assert place == f"127.0.0.1:{taken}"
        assert f"cannot listen on 127.0.0.1:{taken}: address already in use" in caplog.text
        with pytest.raises(urllib.error.URLError, match="refused"):
            get(first, "/healthz")
        made.change(MetricsOptions(port=first))
        assert get(first, "/healthz")[0] == 200
        made.change(MetricsOptions())
        assert threading.active_count() == threads


def test_an_address_that_has_to_be_looked_up_is_a_mistake():
    assert MetricsOptions(host="localhost").host == "127.0.0.1"
    assert MetricsOptions(host="::1").host == "::1"
    with pytest.raises(ValueError, match="an IP address"):
        MetricsOptions(host="kitchen.local")


RUN = """
import sys
from jarvis_ear import cli
options = ("--microphone.fast", "--speaker.device", "none", "--backend-url", "http://127.0.0.1:1")
assert cli.main(["run", "--input", sys.argv[1], *options]) == 0
print(sorted(set(sys.modules) & {"jarvis_ear.mqtt.link", "paho", "prometheus_client"}))
"""


def test_an_ear_whose_owner_wants_neither_metrics_nor_mqtt_loads_no_library_for_them(tmp_path):
    silence = tmp_path / "silence.wav"
    silence.write_bytes(pcm_to_wav(b"\0\0" * 16_000))
    environment = {**os.environ, "RUNTIME_DIRECTORY": str(tmp_path)}
    done = run([sys.executable, "-c", RUN, silence], env=environment)
    assert done.stdout.splitlines()[-1] == "['jarvis_ear.mqtt.link']"


def test_the_whole_ear_serves_them_where_a_reload_says(tmp_path):
    first, second = free_port(), free_port()
    file = tmp_path / "config.toml"
    file.write_text(f"[metrics]\nport = {first}\n")
    options = ("--config", str(file), "--input", "-", "--speaker.device", "none")
    with RunningEar(
        tmp_path, os.environ, *options, "--backend-url", "http://127.0.0.1:1", stdin=subprocess.PIPE
    ) as ear:
        ear.status()
        status, _, text = get(first, "/metrics")
        printed = run_verb(ear.environment, "metrics").stdout
        assert samples_of(text).keys() == samples_of(printed).keys()
        assert status == 200
        assert get(first, "/healthz")[0] == 200
        file.write_text(f"[metrics]\nport = {second}\n")
        ear.signal(signal.SIGHUP)
        ear.wait_for("changed: metrics.port")
        assert get(second, "/healthz")[0] == 200
        ear.signal(signal.SIGTERM)
        assert ear.wait_ended() == 0
    assert "Traceback" not in ear.told()
