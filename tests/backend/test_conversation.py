"""One turn, without a wire."""

import asyncio
import logging
import re

import numpy as np
import pytest

from fakes.engines import ScriptedBrain, ScriptedEar, ScriptedVoice, scripted, spoken
from jarvis_backend import conversation as module
from jarvis_backend.brain import Question
from jarvis_backend.config import Limits
from jarvis_backend.conversation import (
    UNFINISHED,
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
from jarvis_ear.wires.messages import VolumeRequest


def conversation(engines, *, log_transcripts=False, **limits):
    return Conversation(engines, Limits(**limits), log_transcripts=log_transcripts)


async def replies(engines, utterance, *, in_order=False, **options):
    messages = []

    async def send(message):
        messages.append(message)

    await conversation(engines, **options).reply(utterance, send, in_order=in_order)
    return messages


async def failure(engines, utterance, **options):
    """The error that ends a turn, which is its last message."""
    last = (await replies(engines, utterance, **options))[-1]
    assert isinstance(last, ReplyFailed)
    return last.error


def indexes(messages):
    return [message.index for message in messages if isinstance(message, Spoken)]


async def partials(engines):
    async def sound():
        yield bytes(2)

    return [text async for text in conversation(engines).partials(sound())]


def sentence(index, text):
    return Spoken(index, Speech("audio/wav", spoken(text)))


async def test_a_turn_goes_from_sound_to_speech(beep):
    engines = scripted(brain=ScriptedBrain("One. Two."))
    assert await replies(engines, beep) == [
        TranscriptReady("what time is it"),
        BrainAsked("scripted"),
        AnswerText("One. Two."),
        sentence(0, "One."),
        sentence(1, "Two."),
        TurnDone(2, unspoken=""),
    ]
    assert engines.brain.asked == ["what time is it"]


async def test_sentences_come_as_they_are_ready_two_at_a_time(beep):
    voice = ScriptedVoice(after={"One.": "Two."})
    assert indexes(await replies(scripted(tts=voice), beep)) == [1, 0, 2]
    assert voice.most_at_once == 2


async def test_sentences_come_in_order_where_the_wire_needs_it(beep):
    voice = ScriptedVoice(after={"One.": "Two."}, fails=["Three."])
    engines = scripted(brain=ScriptedBrain("One. Two. Three. Four."), tts=voice)
    messages = await replies(engines, beep, in_order=True)
    assert indexes(messages) == [0, 1, 3]
    assert messages[-1] == TurnDone(4, unspoken="")


async def test_a_sentence_that_fails_is_missing_but_counted(beep, caplog):
    messages = await replies(scripted(tts=ScriptedVoice(fails=["One."])), beep)
    assert indexes(messages) == [1, 2]
    assert messages[-1] == TurnDone(3, unspoken="")
    assert "sentence 0 is left out: cannot say" in caplog.text


@pytest.mark.parametrize(
    ("engines", "options", "done"),
    [
        ({"tts": ScriptedVoice(fails=["One.", "Two.", "Three."])}, {}, TurnDone(3, unspoken="")),
        ({"brain": ScriptedBrain("")}, {}, TurnDone(0, unspoken="")),
        ({"brain": ScriptedBrain("```code```")}, {}, TurnDone(0, unspoken="")),
        ({}, {"reply_chars": 9}, TurnDone(2, unspoken="")),
        ({"brain": ScriptedBrain("For how long? ")}, {}, TurnDone(1, "", is_question=True)),
    ],
    ids=["every sentence fails", "no reply", "nothing to say", "a long reply", "a question"],
)
async def test_a_turn_ends_with_the_count_of_its_sentences(beep, engines, options, done):
    assert (await replies(scripted(**engines), beep, **options))[-1] == done


class LouderBrain(ScriptedBrain):
    async def answer(self, question):
        question.set_volume(VolumeRequest(change=10))
        yield "Louder."
        if self.error:
            raise EngineError(self.error)


async def test_a_turn_ends_with_the_volume_that_the_brain_asks_for(beep):
    louder = await replies(scripted(brain=LouderBrain()), beep)
    assert louder[-1] == TurnDone(1, "", volume=VolumeRequest(change=10))


class SlowBrain(ScriptedBrain):
    """Yields its pieces one by one, each when it may, and fails in the end if it shall."""

    def __init__(self, *pieces, error=""):
        super().__init__(error=error)
        self.pieces = pieces
        self.may_go_on = asyncio.Event()

    async def answer(self, question):
        self.asked.append(question)
        for number, piece in enumerate(self.pieces):
            if number:
                await self.may_go_on.wait()
            yield piece
        if self.error:
            raise EngineError(self.error)


async def test_a_slow_brain_is_known_to_work_until_the_answer_is_complete(beep, monkeypatch):
    monkeypatch.setattr(module, "ALIVE_S", 0.01)
    brain, messages = SlowBrain("One. Tw", "o."), []
    again = BrainAsked("scripted", is_repeated=True)

    async def send(message):
        messages.append(message)
        if messages.count(again) == 2:
            brain.may_go_on.set()

    await conversation(scripted(brain=brain)).reply(beep, send)
    assert messages.count(again) >= 2
    assert messages[-1] == TurnDone(2, "")


async def test_the_first_sentence_is_sent_before_the_answer_is_complete(beep, until):
    brain = SlowBrain("Dr. Who. It is no", "on. And la", "ter. ")
    messages = []

    async def send(message):
        messages.append(message)

    talk = conversation(scripted(brain=brain))
    reply = asyncio.create_task(talk.reply(beep, send, room="kitchen"))
    await until(lambda: sentence(0, "Dr. Who.") in messages)
    assert messages[-1] == sentence(0, "Dr. Who.")
    assert brain.asked == [Question("what time is it", "kitchen")]
    brain.may_go_on.set()
    await reply
    assert set(map(type, messages[3:-1])) == {Spoken, AnswerText}
    assert AnswerText("Dr. Who. It is noon. And later. ") in messages
    assert indexes(messages) == [0, 1, 2]
    assert messages[-1] == TurnDone(3, unspoken="")


async def test_an_answer_that_breaks_off_is_spoken_so_far_and_says_so(beep):
    brain = SlowBrain("One. Tw", error="the line is cut")
    brain.may_go_on.set()
    messages = await replies(scripted(brain=brain), beep, in_order=True)
    assert AnswerText(f"One. Tw\n{UNFINISHED}") in messages
    assert messages[-2:] == [sentence(2, UNFINISHED), TurnDone(3, unspoken="")]
    brain.pieces = ("Tw",)
    assert str(await failure(scripted(brain=brain), beep)) == "the line is cut"


async def test_an_announcement_goes_to_a_free_room_and_never_into_a_reply(beep, until):
    brain = SlowBrain("One.", " Two.")
    talk = conversation(scripted(brain=brain))
    kitchen, study = [], []

    def into(messages):
        async def send(message):
            messages.append(message)

        return send

    to_kitchen, to_study = into(kitchen), into(study)
    assert not talk.can_speak("")
    talk.open_room("kitchen", to_kitchen)
    talk.open_room("study", to_study, lambda: bool(study))
    reply = asyncio.create_task(talk.reply(beep, to_kitchen, room="kitchen"))
    await until(lambda: brain.asked)
    assert not talk.can_speak("kitchen")
    assert talk.can_speak("")  # the study
    await talk.announce("", "Dinner. Now!")
    assert study == [sentence(0, "Dinner."), sentence(1, "Now!"), TurnDone(2, unspoken="")]
    assert not talk.can_speak("study")
    brain.may_go_on.set()
    await reply
    assert talk.can_speak("kitchen")
    kitchen.clear()
    await talk.announce("kitchen", "Dinner.")
    assert kitchen == [sentence(0, "Dinner."), TurnDone(1, unspoken="")]
    talk.close_rooms(to_kitchen)
    await talk.announce("kitchen", "Dinner.")
    assert not talk.can_speak("kitchen")
    assert len(kitchen) == 2


async def test_without_a_voice_the_reply_stays_text(beep):
    messages = await replies(scripted(tts=MissingEngine("install one")), beep)
    assert messages[2:] == [
        AnswerText("One. Two. Three."),
        TurnDone(0, unspoken="One. Two. Three."),
    ]


async def test_the_wake_phrase_is_not_part_of_the_command(beep):
    engines = scripted(stt=ScriptedEar("hey jarvis stop"))
    assert (await replies(engines, beep))[0] == TranscriptReady("stop")
    assert engines.brain.asked == ["stop"]


@pytest.mark.parametrize("heard", ["", "hey jarvis"])
async def test_an_utterance_without_a_command_is_not_understood(beep, heard):
    error = await failure(scripted(stt=ScriptedEar(heard)), beep)
    assert (type(error), str(error)) == (UtteranceError, "Could not understand audio")


@pytest.mark.parametrize(
    ("utterance", "text"),
    [
        (b"", "^No audio received$"),
        (b"\0" * 100, "^Could not read audio: it starts with"),
        (pcm_to_wav(bytes(64_000)), "^Could not read audio: it lasts longer than the 1 s"),
    ],
)
async def test_an_invalid_utterance_is_an_error(utterance, text):
    error = await failure(scripted(), utterance, utterance_s=1)
    assert isinstance(error, UtteranceError)
    assert re.search(text, str(error))


async def test_sound_reaches_the_ear_to_the_sample_or_resampled():
    ear = ScriptedEar()
    pcm = np.arange(-500, 500, dtype="<i2")
    await replies(scripted(stt=ear), pcm_to_wav(pcm.tobytes()))
    assert np.array_equal(ear.heard[0], pcm)
    await replies(scripted(stt=ear), pcm_to_wav(np.ones(48_000, "<i2").tobytes(), 48_000))
    assert abs(len(ear.heard[1]) - 16_000) < 10


async def break_down(*_):
    raise RecursionError("deeper than expected")


async def collapse(*_):
    raise RecursionError("deeper than expected")
    yield


def broken(part, method):
    """Engines of which one fails in a way that no engine should."""
    engines = scripted()
    setattr(getattr(engines, part), method, collapse if part == "brain" else break_down)
    return engines


@pytest.mark.parametrize(
    ("engines", "kind", "text"),
    [
        (scripted(stt=ScriptedEar(error="deaf")), EngineError, "deaf"),
        (scripted(brain=ScriptedBrain(error="dull")), EngineError, "dull"),
        (
            scripted(stt=MissingEngine("install one")),
            EngineMissing,
            "STT service not available: install one",
        ),
        (
            broken("stt", "transcribe"),
            EngineError,
            "speech-to-text (scripted) failed: RecursionError",
        ),
        (broken("brain", "answer"), EngineError, "brain (scripted) failed: RecursionError"),
    ],
)
async def test_an_ear_or_brain_that_fails_ends_the_turn(beep, caplog, engines, kind, text):
    error = await failure(engines, beep)
    assert isinstance(error, kind)
    assert str(error) == text
    assert ("deeper than expected" in caplog.text) is ("RecursionError" in text)


async def test_an_unexpected_failure_of_the_voice_leaves_a_sentence_out(beep, caplog):
    messages = await replies(broken("tts", "speak"), beep)
    assert messages[-1] == TurnDone(3, unspoken="")
    assert "sentence 2 is left out: text-to-speech (scripted) failed" in caplog.text


async def test_an_unexpected_failure_of_a_guess_is_no_error(monkeypatch):
    engines = scripted()
    monkeypatch.setattr(type(engines.stt.listen()), "feed", break_down)
    assert await partials(engines) == []


async def test_a_long_transcript_and_a_long_answer_are_cut(beep):
    brain = ScriptedBrain("y" * 20_000)
    ear = ScriptedEar("x" * 20_000)
    ear.guess = ear.text
    engines = scripted(stt=ear, brain=brain, tts=MissingEngine("none"))
    messages = await replies(engines, beep)
    assert messages[0] == TranscriptReady("x" * 16_384)
    assert brain.asked == ["x" * 16_384]
    assert messages[2] == AnswerText("y" * 16_384)
    assert messages[-1] == TurnDone(0, unspoken="y" * 16_384)
    assert await partials(engines) == ["x" * 16_384]


async def test_a_cancelled_turn_stops_the_voice(beep, until):
    voice = ScriptedVoice(hangs=True)

    async def ignore(_message):
        pass

    reply = asyncio.create_task(conversation(scripted(tts=voice)).reply(beep, ignore))
    await until(lambda: len(voice.asked) == 2)
    reply.cancel()
    await asyncio.gather(reply, return_exceptions=True)
    assert voice.cancelled == ["One.", "Two."]


async def test_words_are_logged_only_if_the_owner_wants_it(beep, caplog):
    caplog.set_level(logging.DEBUG)
    engines = scripted(stt=ScriptedEar("the secret word"), brain=ScriptedBrain("quiet now"))
    await replies(engines, beep)
    assert "understood 15 letters" in caplog.text
    assert "secret" not in caplog.text
    assert "quiet" not in caplog.text
    await replies(engines, beep, log_transcripts=True)
    assert "understood: the secret word" in caplog.text
    assert "answer: quiet now" in caplog.text
