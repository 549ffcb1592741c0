"""A folder that looks like the part of ``/proc`` that tells of sound cards and programs."""

import shutil
from collections.abc import Mapping
from pathlib import Path


class Kernel:
    """Lists the cards that the test plugs in, and the programs that hold them."""

    def __init__(self, proc: Path) -> None:
        self._proc = proc

    def list_cards(self, cards: Mapping[int, str]) -> None:
        """Have these cards and no others: their numbers and ids."""
        folder = self._proc / "asound"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for number in cards:
            status = folder / f"card{number}" / "pcm0c" / "sub0" / "status"
            status.parent.mkdir(parents=True)
            status.write_text("closed\n")
        (folder / "cards").write_text(
            "".join(
                f"{number:2} [{card_id:<15}]: USB-Audio - {card_id}\n"
                f"                      Some Maker {card_id} at usb-1, full speed\n"
                for number, card_id in cards.items()
            )
        )

    def hold(self, number: int, *, pid: int, program: str, thread: int | None = None) -> None:
        """Let a thread of a program record from a card; the main thread, if no other is named."""
        thread = thread or pid
        status = self._proc / "asound" / f"card{number}" / "pcm0c" / "sub0" / "status"
        status.write_text(f"state: RUNNING\nowner_pid   : {thread}\ntrigger_time: 12.5\n")
        for one in {pid, thread}:
            folder = self._proc / str(one)
            folder.mkdir(exist_ok=True)
            (folder / "comm").write_text(f"{program}\n")
            (folder / "status").write_text(f"Name:\t{program}\nTgid:\t{pid}\nPid:\t{one}\n")
