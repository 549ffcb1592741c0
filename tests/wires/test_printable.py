from jarvis_ear.wires.json_fields import printable


def test_what_could_move_a_terminal_becomes_a_space():
    assert printable("a\x1b[2Jb\nc\u202ed\ud800e") == "a [2Jb c d e"
    assert printable("schön · 時間") == "schön · 時間"
