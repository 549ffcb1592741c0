"""A console is shown what is in force."""

from jarvis_ear.config import Config, ConsoleOptions, HearingOptions, WakeOptions
from jarvis_ear.delivery.events import Transcribed
from jarvis_ear.turn_trace.console_view import ConsoleFeed


def turns(showing):
    return {key: value for key, value in shown(showing).items() if key.startswith("turn:")}


def shown(showing):
    subscription = showing.feed.subscribe()
    news = subscription.fetch()
    subscription.close()
    return news.topics


def test_a_reload_is_shown():
    showing = ConsoleFeed(Config())
    assert shown(showing)["words"] == {"shown": False}
    assert shown(showing)["state"]["name"] == "idle"
    hearing = HearingOptions(wake=WakeOptions(threshold=0.7))
    showing.show(Config(hearing=hearing, console=ConsoleOptions(transcripts=True)))
    assert shown(showing)["words"] == {"shown": True}
    assert shown(showing)["wake"] == {"word": "Hey Jarvis", "threshold": 0.7}


def test_words_are_kept_only_while_the_owner_wants_them_shown():
    showing = ConsoleFeed(Config(console=ConsoleOptions(transcripts=True)))
    showing.publisher.delivery(Transcribed("t1", "what time is it"))
    assert turns(showing)["turn:t1"]["transcript"] == "what time is it"
    showing.show(Config())
    showing.publisher.delivery(Transcribed("t2", "canary"))
    assert "what time" not in str(turns(showing))
    assert turns(showing)["turn:t1"]["characters"] == len("what time is it")
    assert "canary" not in str(turns(showing))
