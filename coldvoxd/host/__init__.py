"""The machine around the daemon: systemd, suspend, battery, screen lock, replacing the process."""
