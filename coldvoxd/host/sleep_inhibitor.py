"""Suspend inhibitor: a file descriptor that is closed in time, whatever hangs.

A thread of the C library closes it, without running Python code. A driver that hangs while it holds the GIL stops every
Python thread, so that Python could not close the descriptor.
"""

import ctypes
import os

_NOTIFY_BY_THREAD = 2  # SIGEV_THREAD, sigevent(3type)
_CLOCK_MONOTONIC = 1
_libc = ctypes.CDLL(None, use_errno=True)


class _Notification(ctypes.Structure):
    """`struct sigevent`, 64 bytes with padding at the end."""

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
    """Owns a descriptor. Use from one thread at a time."""

    def __init__(self, descriptor: int) -> None:
        """Raises OSError if the system has no timer left; the caller then still owns the descriptor."""
        self._descriptor = descriptor
        self._started = self._closed = False
        self._timer = ctypes.c_void_p()
        close = ctypes.cast(_libc.close, ctypes.c_void_p)
        notification = _Notification(value=descriptor, how=_NOTIFY_BY_THREAD, function=close)
        if _libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(notification), ctypes.byref(self._timer)):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close_after(self, seconds: float) -> None:
        """Close the descriptor after `seconds`. Later calls have no effect."""
        if not self._started and not self._closed:
            self._started = True
            self._set(seconds)

    def close(self) -> None:
        """Close the descriptor now. Later calls have no effect."""
        if self._closed:
            return
        self._closed = True
        # Closing twice could close a file that another thread has just opened under the same number. Stopping the timer
        # decides atomically which thread closes it: a timer that has expired has no time left.
        left = self._set(0)
        if not self._started or left:
            os.close(self._descriptor)

    def forget(self) -> None:
        """Close the descriptor and delete the timer.

        Call only long after the timer was started, because deleting it cancels a pending expiry.
        """
        self.close()
        if self._timer.value is not None:
            _libc.timer_delete(self._timer)
            self._timer = ctypes.c_void_p()

    def _set(self, seconds: float) -> bool:
        """Start the timer, or stop it with 0. Return whether it had time left."""
        whole, part = divmod(round(seconds * 1e9), 10**9)
        times, before = _Times(value_s=whole, value_ns=part), _Times()
        _libc.timer_settime(self._timer, 0, ctypes.byref(times), ctypes.byref(before))
        return bool(before.value_s or before.value_ns)
