"""The real daemon as a process, and what its clients receive."""
