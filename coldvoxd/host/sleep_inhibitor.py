"""A fuse: a file descriptor that is closed in time, whatever hangs.

The thread that closes it is the C library's own and runs no Python. A driver that hangs while it is called with the
interpreter's lock held stops every thread of Python, and with them whatever Python could do about it.
"""

import ctypes
import os

_NOTIFY_BY_THREAD = 2  # SIGEV_THREAD, sigevent(3type)
_CLOCK_MONOTONIC = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Notification(ctypes.Structure):
    """`struct sigevent`: 64 bytes, of which the last are padding."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("how", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    )


class _Times(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class SleepInhibitor:
    """Owns a descriptor. One thread at a time."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError where the system has no timer left; then the descriptor is the caller's still."""
        self._descriptor = descriptor
        self._lit = self._closed = False
        self._timer = ctypes.c_void_p()
        close = ctypes.cast(_libc.close, ctypes.c_void_p)
        notification = _Notification(value=descriptor, how=_NOTIFY_BY_THREAD, function=close)
        if _libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(notification), ctypes.byref(self._timer)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def light(self, seconds: float) -> None:
        """Have it closed after so long. Once: what burns stays lit."""
        if not self._lit and not self._closed:
            self._lit = True
            self._set(seconds)

    def close(self) -> None:
        """Close it now, unless that was done."""
        if self._closed:
            return
        self._closed = True
        # A second closing could hit a file that another thread has just opened under the same number. Stopping the timer
        # tells, at one stroke, who is to close it: whoever stops one that has run out finds no time left on it.
        left = self._set(0)
        if not self._lit or left:
            os.close(self._descriptor)

    def forget(self) -> None:
        """Close it and give the timer back, a good while after it was lit: with it goes a closing that is just coming."""
        self.close()
        if self._timer.value is not None:
            _libc.timer_delete(self._timer)
            self._timer = ctypes.c_void_p()

    def _set(self, seconds: float) -> bool:
        """Set the timer, or with 0 stop it; whether it had time left."""
        whole, part = divmod(round(seconds * 1e9), 10**9)
        times, before = _Times(value_s=whole, value_ns=part), _Times()
        _libc.timer_settime(self._timer, 0, ctypes.byref(times), ctypes.byref(before))
        return bool(before.value_s or before.value_ns)
