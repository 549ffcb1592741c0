from jarvis_ear.journal.kind import Kind, Remedy

KIND = Kind(
    "Broken", "0" * 32, "@WHO@ broke", "Because of @REASON@.", (Remedy("x", "y @TURN_ID@"),)
)


def test_a_record_is_marked_with_its_kind():
    assert KIND.fields(REASON="rust", DEAF_MS=0) == {
        "EVENT": "Broken",
        "MESSAGE_ID": "0" * 32,
        "REASON": "rust",
        "DEAF_MS": 0,
    }


def test_the_end_of_a_turn_says_its_outcome():
    assert Kind("TurnEnded", "1", "", "", outcome="done").fields()["OUTCOME"] == "done"


def test_a_kind_knows_which_fields_its_words_need():
    assert KIND.references == {"WHO", "REASON", "TURN_ID"}


def test_what_to_do_is_said_in_one_line():
    remedies = (Remedy("look"), Remedy("ask", "jarvis-ear status"), Remedy("x", "journalctl -e"))
    assert Kind("Broken", "1", "", "", remedies).advice == "look; ask (jarvis-ear status)"
    assert Kind("Broken", "1", "", "").advice == ""
