"""A console is shown what is in force."""

from jarvis_ear.config import Config, Console, Hearing, Wake
from jarvis_ear.delivery.events import Transcribed
from jarvis_ear.showing import Showing


def turns(showing):
    return {key: value for key, value in shown(showing).items() if key.startswith("turn:")}


def shown(showing):
    subscription = showing.feed.subscribe()
    news = subscription.fetch()
    subscription.close()
    return news.topics


def test_a_reload_is_shown():
    showing = Showing(Config())
    assert shown(showing)["words"] == {"shown": False}
    assert shown(showing)["state"]["name"] == "idle"
    hearing = Hearing(wake=Wake(threshold=0.7))
    showing.show(Config(hearing=hearing, console=Console(transcripts=True)))
    assert shown(showing)["words"] == {"shown": True}
    assert shown(showing)["wake"] == {"word": "Hey Jarvis", "threshold": 0.7}


def test_words_are_kept_only_while_the_owner_wants_them_shown():
    showing = Showing(Config(console=Console(transcripts=True)))
    showing.publisher.delivery(Transcribed("t1", "what time is it"))
    assert turns(showing)["turn:t1"]["transcript"] == "what time is it"
    showing.show(Config())
    showing.publisher.delivery(Transcribed("t2", "canary"))
    assert "what time" not in str(turns(showing))
    assert turns(showing)["turn:t1"]["characters"] == len("what time is it")
    assert "canary" not in str(turns(showing))
