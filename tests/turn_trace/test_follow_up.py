"""Whether a conversation goes on after a reply: what the backend asks, and what people say."""

import pytest

from jarvis_ear.config import Config, HearingOptions
from jarvis_ear.delivery.events import Announced, Answered, Finished, Transcribed, Verdict
from jarvis_ear.hearing.events import FollowUp
from jarvis_ear.turn_trace.follow_up import MAX_TURNS, FollowUps, ends_conversation

ASKS = Finished("t1", Verdict.DONE, "", 1, follow_up=True)
PHRASES = HearingOptions().last_words


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        *(
            (text, True)
            for text in ("Thank you.", "never mind", "DANKE!", " nein,  danke", "nothing")
        ),
        *((text, False) for text in ("", "...", "nothing else matters", "thank you notes", "no")),
    ],
)
def test_a_conversation_ends_on_the_whole_phrase_in_any_writing(said, ends):
    assert ends_conversation(said, PHRASES) is ends
    assert not ends_conversation(said, ())


@pytest.fixture
def follow_ups():
    made = FollowUps()
    made.change(Config())
    return made


def test_it_is_as_configured_unless_the_backend_asks_or_the_person_declines(follow_ups):
    follow_ups.draw(Transcribed("t1", "what time is it"), None)
    follow_ups.draw(Answered("t1", "thank you"), None)
    follow_ups.draw(Finished("t1", Verdict.DONE, "", 1), None)
    assert follow_ups.take("t1") is FollowUp.AS_CONFIGURED
    follow_ups.draw(ASKS, None)
    assert follow_ups.take("t1") is FollowUp.ASKED
    follow_ups.draw(Announced("news", (), follow_up=True), None)
    assert follow_ups.take("news") is FollowUp.ASKED
    follow_ups.draw(Transcribed("t1", "thank you"), None)
    follow_ups.draw(ASKS, None)
    assert follow_ups.take("t1") is FollowUp.DECLINED
    assert follow_ups.take("t1") is FollowUp.AS_CONFIGURED


def test_the_phrases_change_with_a_reload(follow_ups):
    follow_ups.change(Config(hearing=HearingOptions(follow_up_ends_on=["that's all"])))
    follow_ups.draw(Transcribed("t1", "thank you"), None)
    follow_ups.draw(Transcribed("t2", "That's all."), None)
    assert follow_ups.take("t1") is FollowUp.AS_CONFIGURED
    assert follow_ups.take("t2") is FollowUp.DECLINED


def test_the_oldest_decision_is_forgotten(follow_ups):
    for number in range(MAX_TURNS + 1):
        follow_ups.draw(Transcribed(f"t{number}", "thanks"), None)
    taken = [follow_ups.take(f"t{number}") for number in range(MAX_TURNS + 1)]
    assert taken == [FollowUp.AS_CONFIGURED, *[FollowUp.DECLINED] * MAX_TURNS]
