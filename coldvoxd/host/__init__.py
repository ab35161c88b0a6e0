"""The machine around the daemon: systemd, suspend, battery, replacing the process."""
