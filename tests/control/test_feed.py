from hypothesis import given
from hypothesis import strategies as st

from fakes.ear_feed import apply
from jarvis_ear.control.feed import MAX_DELTAS, Deltas, Feed, Snapshot

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
def test_snapshots_and_deltas_give_the_state_however_late_they_are_fetched(story):
    feed = Feed()
    eager, lazy = feed.subscribe(), feed.subscribe()
    eager_sees, lazy_sees = {}, {}
    for what, topic, value in story:
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


def test_the_first_news_is_everything():
    feed = Feed()
    feed.put("state", "idle")
    subscription = feed.subscribe()
    feed.put("state", "listening")
    assert subscription.fetch() == Snapshot({"state": "listening"})
    assert subscription.fetch() is None


def test_changes_come_in_order_and_equal_values_are_no_change():
    feed = Feed()
    subscription = feed.subscribe()
    subscription.fetch()
    for value in (1, 1, 2, None):
        feed.put("x", value)
    assert subscription.fetch() == Deltas((("x", 1), ("x", 2), ("x", None)))


def test_a_subscriber_that_falls_behind_gets_a_snapshot_and_the_loss_is_counted():
    feed = Feed()
    subscription = feed.subscribe()
    subscription.fetch()
    for number in range(MAX_DELTAS + 10):
        feed.put("x", number)
    assert feed.dropped == MAX_DELTAS + 1
    assert subscription.fetch() == Snapshot({"x": MAX_DELTAS + 9})


def test_a_subscriber_is_woken_until_it_closes():
    feed, calls = Feed(), []
    subscription = feed.subscribe(lambda: calls.append("news"))
    feed.put("x", 1)
    subscription.close()
    feed.put("x", 2)
    assert calls == ["news"]
