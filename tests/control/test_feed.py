"""The feed: its state for each subscriber, its lines, and the sampler that fills it."""

import struct
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.ear_feed import apply
from jarvis_ear.control.feed import MAX_DELTAS, Deltas, Feed, FeedSampler, Snapshot, decode, encode
from jarvis_ear.errors import RemoteProtocolError

topics = st.sampled_from(["state", "sound", "turn:a", "turn:b"])
values = st.one_of(st.none(), st.integers(0, 3), st.dictionaries(st.just("x"), st.integers(0, 2)))
steps = st.one_of(
    st.tuples(st.just("put"), topics, values),
    st.tuples(st.just("replace"), st.dictionaries(topics, st.integers(0, 9)), st.none()),
    st.tuples(st.just("flood"), topics, st.none()),
    st.tuples(st.just("fetch"), st.none(), st.none()),
)


def fetch_all(subscription, seen):
    while (news := subscription.fetch()) is not None:
        seen = apply(seen, news)
    return seen


@given(st.lists(steps, max_size=30))
def test_snapshots_and_deltas_give_the_state_however_late_they_are_fetched(events):
    feed = Feed()
    eager, lazy = feed.subscribe(), feed.subscribe()
    eager_sees, lazy_sees = {}, {}
    for what, topic, value in events:
        if what == "put":
            feed.put(topic, value)
        elif what == "replace":
            feed.replace(topic)
        elif what == "flood":
            for number in range(MAX_DELTAS + 1):
                feed.put(topic, {"n": number})
        else:
            lazy_sees = fetch_all(lazy, lazy_sees)
        eager_sees = fetch_all(eager, eager_sees)
        assert eager_sees == feed.snapshot().topics
    assert fetch_all(lazy, lazy_sees) == feed.snapshot().topics


@pytest.fixture
def feed():
    return Feed()


@pytest.fixture
def subscription(feed):
    """A subscription that has seen the state so far."""
    subscription = feed.subscribe()
    subscription.fetch()
    return subscription


def test_the_first_news_is_everything(feed):
    feed.put("state", "idle")
    subscription = feed.subscribe()
    feed.put("state", "listening")
    assert subscription.fetch() == Snapshot({"state": "listening"})
    assert subscription.fetch() is None


def test_changes_come_in_order_and_equal_values_are_no_change(feed, subscription):
    for value in (1, 1, 2, None):
        feed.put("x", value)
    assert subscription.fetch() == Deltas((("x", 1), ("x", 2), ("x", None)))


def test_a_late_subscriber_gets_a_snapshot_and_the_loss_is_counted(feed, subscription):
    for number in range(MAX_DELTAS + 10):
        feed.put("x", number)
    assert feed.dropped == MAX_DELTAS + 1
    assert subscription.fetch() == Snapshot({"x": MAX_DELTAS + 9})


def test_a_subscriber_is_woken_until_it_closes(feed):
    calls = []
    subscription = feed.subscribe(lambda: calls.append("news"))
    feed.put("x", 1)
    subscription.close()
    feed.put("x", 2)
    assert calls == ["news"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)
any_news = st.one_of(
    st.builds(Snapshot, st.dictionaries(st.text(), json_values)),
    st.builds(Deltas, st.lists(st.tuples(st.text(), json_values)).map(tuple)),
)


@given(any_news)
def test_decode_reverses_encode(news):
    assert decode(encode(news).encode()) == news
    assert "\n" not in encode(news)


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"\xff", b"[]", b"{}", b"[" * 100_000, b'{"snapshot":[]}'),
        *(b'{"deltas":[["x"]]}', b'{"deltas":[[1,2]]}', b'{"deltas":{}}'),
    ],
)
def test_invalid_lines_are_refused(line):
    with pytest.raises(RemoteProtocolError):
        decode(line)


@given(st.binary(max_size=60))
def test_no_bytes_raise_another_error(line):
    with suppress(RemoteProtocolError):
        decode(line)


HEALTH = {"hearing": True, "heard_s_ago": 0.0, "deaf_s_today": 0.0, "stuck": []}
REPORT = {**HEALTH, "state": "idle", "turns": [], "muted_by": [], "connected": True}


@pytest.fixture
def ear():
    frame = struct.pack("<h", 328) * 320
    return SimpleNamespace(
        frames=7, recent=(frame,) * 7, score=0.1234, speech=True, samples_lost=3200
    )


def test_a_sample_is_written_to_the_feed(feed, ear):
    now, reports = [10.0], []

    def health():
        reports.append("asked")
        return {**REPORT, "n": len(reports)}

    signs = FeedSampler(
        feed,
        ear,
        health=health,
        mute=SimpleNamespace(by=("owner",), until="07:30"),
        monotonic=lambda: now[0],
    )
    signs.look()
    assert feed.snapshot().topics == {
        "mute": {"by": ["owner"], "until": "07:30"},
        "gaps": {"lost_ms": 200},
        "sound": {"frame": 7, "dbfs": [], "speech": True, "score": 0.123},
        "health": {**HEALTH, "connected": True, "n": 1, "noted": [], "troubles": []},
    }
    now[0] += 0.5
    signs.look()
    assert len(reports) == 1
    now[0] += 0.5
    signs.look()
    assert feed.snapshot().topics["health"]["n"] == 2


def test_every_available_frame_has_its_level_once(feed, ear):
    signs = FeedSampler(feed, ear, health=lambda: REPORT, mute=SimpleNamespace(by=(), until=""))
    loud = struct.pack("<h", 32767) * 320

    def levels():
        signs.look()
        return feed.snapshot().topics["sound"]["dbfs"]

    assert levels() == []
    ear.frames, ear.recent = 9, (*ear.recent[2:], loud, loud)
    assert levels() == [3.0, 3.0]
    ear.frames = 100
    assert levels() == [-37.0] * 5 + [3.0, 3.0]
    assert levels() == []
