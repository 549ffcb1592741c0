"""Verb tree: the verbs of the ear, with their options, values and exit statuses."""

from typing import Final

from jarvis_ear.options.verbs import MISTAKES, PRINTED, Flag, Verb, common_verbs

_ASKED: Final = {
    1: "the running ear cannot be asked",
    2: "no ear is running (for this user)",
    76: "the program that answers is not an ear, or an ear of another version",
    77: "a program of another user is in the place of the ear",
}
_DONE: Final = {0: "done", **_ASKED}
_SERVICE: Final = {
    0: "done, or nothing to do",
    71: "this machine does not allow it; the old state is restored",
    77: "only root may do this, or only a user who is not root (--user)",
    78: "a file with a password, or the configuration, cannot be used",
}
_DRY_RUN: Final = Flag("--dry-run", "only print what would be done")
_DESTDIR: Final = Flag(
    "--destdir", "install below this folder instead of / ; nothing is started", "DIR"
)
_USER: Final = Flag("--user", "the service of this user, in their desktop session, without root")
_PASSWORD_FILE: Final = Flag("--password-file", "read the password here instead of asking", "FILE")

_SERVICE_VERBS: Final = {
    "install": Verb(
        "install or upgrade the service, enable and start it",
        "sudo jarvis-ear service install --with-backend",
        _SERVICE,
        (
            _DRY_RUN,
            _DESTDIR,
            _USER,
            Flag("--with-backend", "install the reference backend too"),
            _PASSWORD_FILE,
            *(Flag(f"--{name}", "", "DIR") for name in ("home", "library", "programs")),
        ),
    ),
    "uninstall": Verb(
        "stop the service and remove what install made",
        "sudo jarvis-ear service uninstall --dry-run",
        _SERVICE,
        (
            _DRY_RUN,
            _DESTDIR,
            _USER,
            Flag("--purge", "remove options, password, state and user too, without asking"),
        ),
    ),
    "password": Verb(
        "ask for the password of the backend, and store it",
        "sudo jarvis-ear service password",
        _SERVICE,
        (_PASSWORD_FILE, _USER),
    ),
    "status": Verb(
        "show the state of the service on one screen",
        "jarvis-ear service status",
        {
            0: "the ear hears",
            1: "the ear is muted or deaf, or systemd cannot be asked",
            2: "the ear does not run, or does not answer",
        },
        (_USER,),
    ),
}

_RUN: Final = {
    0: "stopped, or the sound file is over",
    66: "the sound file cannot be read",
    69: "the microphone, the sound system or the companion backend cannot be used",
    75: "another ear runs, or the last command of a sound file failed",
    **MISTAKES,
}

_CLIPS: Final = {
    0: "done",
    66: "there is no such clip, or it cannot be read",
    77: "the clips belong to another user",
}
_EVENT_VERBS: Final = {
    "list": Verb(
        "list the clips of the wake ledger, the oldest first",
        "jarvis-ear events list --json",
        {**PRINTED, 77: _CLIPS[77]},
        (Flag("--json", "print them as one line of JSON"),),
    ),
    "play": Verb(
        "play a clip on the loudspeaker of the running ear, or the configured one",
        "jarvis-ear events play 3fa2",
        {**_CLIPS, 69: "there is no loudspeaker", 75: "the ear is receiving another sound"},
        needs=("ID",),
    ),
    "label": Verb(
        "note whether a clip really contains the wake word",
        "jarvis-ear events label 3fa2 false",
        _CLIPS,
        words=("true", "false"),
        needs=("ID",),
    ),
    "export": Verb(
        "write all clips and their labels into an archive",
        "jarvis-ear events export clips.tar.gz",
        {**_CLIPS, 66: "there is no clip, or the archive cannot be written"},
        needs=("FILE",),
    ),
    "purge": Verb("remove all clips, without asking", "jarvis-ear events purge", _CLIPS),
}

_TURNS: Final = {
    0: "printed",
    66: "the ledger cannot be read, or there is no such turn",
    77: "the ledger belongs to another user",
}
_LEDGER: Final = Flag("--ledger", "the folder of the ledger, if `spool.ledger_dir` is set", "DIR")
_TURN_VERBS: Final = {
    "list": Verb(
        "list the last turns: verdict, what was heard, and how long it took",
        "jarvis-ear turns --since today --failed",
        _TURNS,
        (
            Flag("--since", "from this time on: today, 12h, 7d, 2026-11-28 (7d)", "TIME"),
            Flag("--last", "at most N turns (20)", "N"),
            Flag("--failed", "only those that left a person without the answer"),
            Flag("--slow", "only those with an answer after 3 s or more, the slowest first"),
            _LEDGER,
            Flag("--json", "print them as one line of JSON"),
        ),
    ),
    "show": Verb(
        "show everything that is known about a turn, and where its time went",
        "jarvis-ear turns show 03b91389",
        _TURNS,
        (_LEDGER, Flag("--json", "print it as one line of JSON")),
        needs=("ID",),
    ),
}

VERBS: Final[dict[str, Verb]] = {
    "run": Verb(
        "listen until Ctrl-C, or until a sound file is over",
        "jarvis-ear run --device usb --backend-url https://jarvis.local:4000",
        _RUN,
        is_configured=True,
    ),
    "wyoming": Verb(
        "run as a satellite of Home Assistant, which connects to the ear",
        "jarvis-ear wyoming --uri tcp://0.0.0.0:10700 --allow 192.168.1.20",
        _RUN,
        is_configured=True,
    ),
    "status": Verb(
        "report whether the running ear hears",
        "jarvis-ear status --json",
        {0: "the ear hears", **_ASKED, 1: "the ear is muted or deaf, or cannot be asked"},
        (Flag("--json", "print all numbers, as one line of JSON"),),
    ),
    "monitor": Verb(
        "show the running ear in a terminal, live; with FILE or --device NAME, a separate ear",
        "jarvis-ear monitor --device usb",
        {
            **_ASKED,
            0: "stopped, or the sound file is over",
            2: "no ear is running; on a terminal the screen waits for one",
            66: "the sound file cannot be read",
            69: "the microphone of --device cannot be used",
            141: "the reader of the output has gone",
            **MISTAKES,
        },
        (Flag("--json", "print the feed instead, one line of JSON for each change"),),
        value="FILE",
        is_configured=True,
    ),
    "metrics": Verb(
        "print the numbers of the running ear in the text format of Prometheus",
        "jarvis-ear metrics",
        {**PRINTED, **_ASKED},
    ),
    "mute": Verb(
        "close the microphone until unmute, or for a TIME: 30m, 1h30m, 90s, until 07:30",
        "jarvis-ear mute 30m",
        _DONE,
        value="TIME",
    ),
    "unmute": Verb("open the microphone again", "jarvis-ear unmute", _DONE),
    "toggle": Verb(
        "mute the ear if it is open, unmute it if it is muted", "jarvis-ear toggle", _DONE
    ),
    "stop": Verb("stop speaking, and forget the utterance in progress", "jarvis-ear stop", _DONE),
    "listen": Verb(
        "listen without the wake word, for a button",
        "jarvis-ear listen",
        {**_DONE, 1: "the ear is muted or deaf, or cannot be asked"},
    ),
    "say": Verb(
        "play a sound file, or a text in the voice of the backend, when the ear is idle",
        'jarvis-ear say "Dinner is ready"',
        {
            **_DONE,
            0: "the ear plays it as soon as it is idle",
            66: "the sound file cannot be read or played",
            69: "the backend is away or has no speech for texts, or there is no loudspeaker",
            75: "the ear is receiving or preparing something else",
        },
        value="TEXT|FILE",
    ),
    "hush": Verb("the older name of stop", "jarvis-ear hush", _DONE),
    "volume": Verb(
        "show the volume of replies in per cent, or set it until the next time, restarts included",
        "jarvis-ear volume 40",
        _DONE,
        value="N",
    ),
    "console": Verb(
        "show the running ear in a browser of this machine",
        "jarvis-ear console --open",
        {0: "stopped", 1: "the port is not free", 69: "--open: there is no browser", **MISTAKES},
        (Flag("--open", "open the page in a browser, and say in which"),),
        is_configured=True,
    ),
    "events": Verb(
        "list, play, label, export or remove the clips of the wake ledger",
        "jarvis-ear events list",
        verbs=_EVENT_VERBS,
    ),
    "turns": Verb(
        "list the last turns, or show one of them",
        "jarvis-ear turns --since today --failed",
        verbs=_TURN_VERBS,
        usual="list",
    ),
    "replay": Verb(
        "hear recordings again as the running ear does, and show what it makes of them",
        "jarvis-ear replay kitchen.wav --hearing.wake.threshold 0.4",
        {
            0: "printed",
            1: "a picture needs the package matplotlib",
            66: "a recording cannot be read, or there are no clips",
            77: "the clips belong to another user",
            **MISTAKES,
        },
        (
            Flag("--events", "the clips of the wake ledger, instead of files"),
            Flag("--plot", "draw sound, score, states and end of speech of one file", "FILE"),
            Flag("--sweep", "what other thresholds, patiences and hangovers would have done"),
            Flag("--truth", "where the files hold the wake word: CSV, file,start_s,end_s", "FILE"),
            Flag("--miss-cost", "a missed word is as bad as N false accepts (5)", "N"),
            Flag("--json", "print it as one line of JSON"),
        ),
        values="FILE",
        is_configured=True,
    ),
    "calibrate": Verb(
        "measure voices, room and loudspeaker, recommend options, and write them after asking",
        "jarvis-ear calibrate --minutes 2",
        {
            0: "done; what was recommended is written only if you agreed",
            66: "a recording cannot be read, or the file of the options cannot be written",
            69: "the microphone cannot be used",
            **MISTAKES,
        },
        (
            Flag("--words", "how often the wake word is said, near and far together (10)", "N"),
            Flag("--minutes", "how long the room is heard; 0: not at all (5)", "N"),
            Flag("--compare", "only compare the microphones, and recommend one of them"),
            Flag("--near", "a recording of wake words, instead of the microphone", "FILE"),
            Flag("--far", "one from farther away, with commands", "FILE"),
            Flag("--room", "a recording of the room without the wake word", "FILE"),
            Flag("--miss-cost", "a missed word is as bad as N false accepts (5)", "N"),
            Flag("--yes", "write without asking"),
            Flag("--json", "print the result as one line of JSON, and do not ask"),
        ),
        is_configured=True,
    ),
    "service": Verb(
        "install, uninstall or show the service",
        "jarvis-ear service status",
        verbs=_SERVICE_VERBS,
    ),
    "doctor": Verb(
        "check everything that the ear needs, and say how to repair it",
        "jarvis-ear doctor --bundle support.tar.gz",
        {
            0: "nothing failed; there may be warnings",
            66: "the bundle cannot be written",
            69: "the first failed line: a device, the backend or the ear cannot be used",
            70: "the ear is stuck, or a check has a bug",
            71: "the clock is wrong",
            73: "no space, or a folder that is not writable",
            75: "the backend allows no login now",
            76: "the server has a wrong certificate, or is not a backend",
            77: "the password, the token, or the right to use the sound card is missing",
            78: "the configuration has a mistake, or a model is damaged",
        },
        (
            Flag("--json", "print the page as one line of JSON"),
            Flag("--bundle", "also write an archive for a helper, without secrets", "FILE"),
        ),
        is_configured=True,
    ),
    "mic-check": Verb(
        "record ten seconds, or read a sound file, and say what to change",
        "jarvis-ear mic-check --play",
        {
            0: "nothing has to be changed",
            1: "something should be changed; the output says what",
            66: "the sound file cannot be read",
            69: "the microphone cannot be used, or the running ear is muted or deaf",
            **MISTAKES,
        },
        (
            Flag("--json", "print the result as one line of JSON"),
            Flag("--seconds", "length of the check, 1 to 120; usually 10", "N"),
            Flag("--play", "play the recording back afterwards"),
        ),
        value="FILE",
        is_configured=True,
    ),
    "devices": Verb(
        "list microphones and speakers, or report what is missing",
        "jarvis-ear devices",
        {0: "listed, or reported what is missing"},
    ),
    **common_verbs("jarvis-ear", "--threshold 0.4"),
}
