import io
import logging

from jarvis_ear import config
from jarvis_ear.log import setup
from jarvis_ear.log.setup import set_level


def test_the_level_changes_while_the_log_is_written(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    stream, logger = io.StringIO(), logging.getLogger("jarvis_ear.test")
    with setup.setup(config.LogOptions(), stream, {}):
        for level in ("info", "debug", "warning"):
            set_level(config.LogOptions(level=level))
            for number in (logging.DEBUG, logging.INFO, logging.WARNING):
                logger.log(number, "%s of %s", number, level)
            logging.getLogger("urllib3").info("a packet")
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    told = {"20 of info", "warning: 30 of info", "debug: 10 of debug", "20 of debug"}
    assert set(lines) == told | {"warning: 30 of debug", "warning: 30 of warning"}
