"""Ctrl-C and SIGTERM as an exception that unwinds everything, so that nothing finished is lost."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """The person, or the system, wants the process to end.

    No `Exception`: nothing that mends errors may swallow it.

    Attributes:
        exit_status: What the process ends with, 128 plus the signal's number, as shells have it.
        folder_argument: What the command line would have to say of the folder that was worked in,
            to go on; None where that isn't known.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.exit_status = 128 + signal_number
        self.folder_argument: str | None = None


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Raise `Stopped` at the first Ctrl-C or SIGTERM, and be deaf to further ones while it unwinds.

    Python's own way for Ctrl-C would do, but Lightning turns KeyboardInterrupt into exit status 1
    and SIGTERM into 0.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def stop(number: int, frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped(number)

    for number in _SIGNALS:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
