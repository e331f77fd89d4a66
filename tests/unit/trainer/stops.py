"""Interruptions at an exact step."""

import threading


class StopBeforeStep(threading.Event):
    """An event that is set when the loop asks for the n-th time: a SIGTERM at an exact step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self._left = step

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0
