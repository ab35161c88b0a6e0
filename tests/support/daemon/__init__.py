"""The real daemon as a process, and its clients' view."""
