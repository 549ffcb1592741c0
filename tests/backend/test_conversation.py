"""One turn, without a wire."""

import asyncio
import logging

import numpy as np
import pytest

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted, spoken
from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    AnswerText,
    BrainAsked,
    Conversation,
    ReplyFailed,
    Spoken,
    TranscriptReady,
    TurnDone,
)
from jarvis_backend.engines.engine import MissingEngine, Speech
from jarvis_backend.errors import EngineError, EngineMissing, UtteranceError
from jarvis_ear.audio.wav import pcm_to_wav


def conversation(engines, *, log_transcripts=False, **limits):
    return Conversation(engines, Limits(**limits), log_transcripts=log_transcripts)


def replies(engines, utterance, *, in_order=False, **options):
    async def collect():
        messages = []

        async def send(message):
            messages.append(message)

        await conversation(engines, **options).reply(utterance, send, in_order=in_order)
        return messages

    return asyncio.run(collect())


def failure(engines, utterance, **options):
    """The error that ends a turn, which is its last message."""
    last = replies(engines, utterance, **options)[-1]
    assert isinstance(last, ReplyFailed)
    raise last.error


def sentence(index, text):
    return Spoken(index, Speech("audio/wav", spoken(text)))


def test_a_turn_goes_from_sound_to_speech(beep):
    engines = scripted(brain=ScriptedBrain("One. Two."))
    assert replies(engines, beep) == [
        TranscriptReady("what time is it"),
        BrainAsked("scripted"),
        AnswerText("One. Two."),
        sentence(0, "One."),
        sentence(1, "Two."),
        TurnDone(2, unspoken=""),
    ]
    assert engines.brain.asked == ["what time is it"]


def test_sentences_come_as_they_are_ready_two_at_a_time(beep):
    voice = ScriptedVoice(after={"One.": "Two."})
    messages = replies(scripted(brain=ScriptedBrain("One. Two. Three."), tts=voice), beep)
    assert [message.index for message in messages if isinstance(message, Spoken)] == [1, 0, 2]
    assert voice.most_at_once == 2


def test_sentences_come_in_order_where_the_wire_needs_it(beep):
    voice = ScriptedVoice(after={"One.": "Two."}, fails=["Three."])
    engines = scripted(brain=ScriptedBrain("One. Two. Three. Four."), tts=voice)
    messages = replies(engines, beep, in_order=True)
    assert [message.index for message in messages if isinstance(message, Spoken)] == [0, 1, 3]
    assert messages[-1] == TurnDone(4, unspoken="")


def test_a_sentence_that_fails_is_missing_but_counted(beep, caplog):
    voice = ScriptedVoice(fails=["One."])
    messages = replies(scripted(tts=voice), beep)
    assert [message.index for message in messages if isinstance(message, Spoken)] == [1, 2]
    assert messages[-1] == TurnDone(3, unspoken="")
    assert "sentence 0 is left out: cannot say" in caplog.text


def test_when_every_sentence_fails_the_turn_still_ends(beep):
    voice = ScriptedVoice(fails=["One.", "Two.", "Three."])
    assert replies(scripted(tts=voice), beep)[-1] == TurnDone(3, unspoken="")


def test_without_a_voice_the_reply_stays_text(beep):
    messages = replies(scripted(tts=MissingEngine("install one")), beep)
    assert messages[2:] == [
        AnswerText("One. Two. Three."),
        TurnDone(0, unspoken="One. Two. Three."),
    ]


@pytest.mark.parametrize("reply", ["", "```code```"])
def test_nothing_to_say_is_no_sentence(beep, reply):
    assert replies(scripted(brain=ScriptedBrain(reply)), beep)[-1] == TurnDone(0, unspoken="")


def test_the_wake_phrase_is_not_part_of_the_command(beep):
    engines = scripted(stt=ScriptedEar("hey jarvis stop"))
    assert replies(engines, beep)[0] == TranscriptReady("stop")
    assert engines.brain.asked == ["stop"]


@pytest.mark.parametrize("heard", ["", "hey jarvis"])
def test_an_utterance_without_a_command_is_not_understood(beep, heard):
    with pytest.raises(UtteranceError, match=r"^Could not understand audio$"):
        failure(scripted(stt=ScriptedEar(heard)), beep)


@pytest.mark.parametrize(
    ("utterance", "text"),
    [
        (b"", "^No audio received$"),
        (b"\0" * 100, "^Could not read audio: it starts with"),
        (pcm_to_wav(bytes(64_000)), "^Could not read audio: it lasts longer than the 1 s"),
    ],
)
def test_what_is_no_utterance_is_told_so(utterance, text):
    with pytest.raises(UtteranceError, match=text):
        failure(scripted(), utterance, utterance_s=1)


def test_any_rate_reaches_the_ear_at_sixteen_kilohertz():
    ear = ScriptedEar()
    replies(scripted(stt=ear), pcm_to_wav(np.ones(48_000, "<i2").tobytes(), 48_000))
    assert abs(len(ear.heard[0]) - 16_000) < 10


def test_the_pcm_reaches_the_ear_to_the_sample():
    ear = ScriptedEar()
    pcm = np.arange(-500, 500, dtype="<i2")
    replies(scripted(stt=ear), pcm_to_wav(pcm.tobytes()))
    assert np.array_equal(ear.heard[0], pcm)


def test_an_ear_or_brain_that_fails_ends_the_turn(beep):
    with pytest.raises(EngineError, match="deaf"):
        failure(scripted(stt=ScriptedEar(error="deaf")), beep)
    with pytest.raises(EngineError, match="dull"):
        failure(scripted(brain=ScriptedBrain(error="dull")), beep)
    with pytest.raises(EngineMissing, match=r"^STT service not available: install one$"):
        failure(scripted(stt=MissingEngine("install one")), beep)


def test_a_long_transcript_and_a_long_answer_are_cut(beep):
    brain = ScriptedBrain("y" * 20_000)
    engines = scripted(stt=ScriptedEar("x" * 20_000), brain=brain, tts=MissingEngine("none"))
    messages = replies(engines, beep)
    assert messages[0] == TranscriptReady("x" * 16_384)
    assert brain.asked == ["x" * 16_384]
    assert messages[2] == AnswerText("y" * 16_384)
    assert messages[-1] == TurnDone(0, unspoken="y" * 16_384)


def test_a_long_partial_transcript_is_cut():
    ear = ScriptedEar()
    ear.guess = "x" * 20_000

    async def sound():
        yield bytes(2)

    async def scene():
        return [text async for text in conversation(scripted(stt=ear)).partials(sound())]

    assert asyncio.run(scene()) == ["x" * 16_384]


async def break_down(*_):
    raise RecursionError("deeper than anybody foresaw")


@pytest.mark.parametrize(
    ("work", "said"),
    [
        ("stt.transcribe", "speech-to-text (scripted) failed: RecursionError"),
        ("brain.answer", "brain (scripted) failed: RecursionError"),
    ],
)
def test_an_unforeseen_failure_ends_the_turn_like_any_other(beep, monkeypatch, caplog, work, said):
    engines = scripted()
    part, _, method = work.partition(".")
    monkeypatch.setattr(getattr(engines, part), method, break_down)
    with pytest.raises(EngineError) as failed:
        failure(engines, beep)
    assert str(failed.value) == said
    assert "deeper than anybody foresaw" in caplog.text


def test_an_unforeseen_failure_of_the_voice_leaves_a_sentence_out(beep, monkeypatch, caplog):
    engines = scripted()
    monkeypatch.setattr(engines.tts, "speak", break_down)
    assert replies(engines, beep)[-1] == TurnDone(3, unspoken="")
    assert "sentence 2 is left out: text-to-speech (scripted) failed" in caplog.text


def test_an_unforeseen_failure_of_a_guess_is_no_error(monkeypatch):
    engines = scripted()
    monkeypatch.setattr(type(engines.stt.listen()), "feed", break_down)

    async def sound():
        yield bytes(2)

    async def scene():
        return [text async for text in conversation(engines).partials(sound())]

    assert asyncio.run(scene()) == []


def test_a_long_reply_is_cut(beep):
    messages = replies(scripted(), beep, reply_chars=9)
    assert messages[-1] == TurnDone(2, unspoken="")


def test_whoever_stops_listening_stops_the_voice(beep):
    voice = ScriptedVoice(hangs=True)

    async def ignore(_message):
        pass

    async def listen_to_the_answer_only():
        reply = asyncio.create_task(conversation(scripted(tts=voice)).reply(beep, ignore))
        async with asyncio.timeout(10):
            while len(voice.asked) < 2:  # noqa: ASYNC110 - nothing says when the second is asked
                await asyncio.sleep(0)
            reply.cancel()
            await asyncio.gather(reply, return_exceptions=True)

    asyncio.run(listen_to_the_answer_only())
    assert voice.cancelled == ["One.", "Two."]


def test_what_was_said_is_logged_only_if_the_owner_wants_it(beep, caplog):
    caplog.set_level(logging.DEBUG)
    engines = scripted(stt=ScriptedEar("the secret word"), brain=ScriptedBrain("quiet now"))
    replies(engines, beep)
    assert "understood 15 letters" in caplog.text
    assert "secret" not in caplog.text
    assert "quiet" not in caplog.text
    replies(engines, beep, log_transcripts=True)
    assert "understood: the secret word" in caplog.text
    assert "answer: quiet now" in caplog.text
