"""The typing client `coldvox-type`: delivers each transcribed text to the window that has the focus."""
