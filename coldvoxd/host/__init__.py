"""The machine around the daemon: systemd, suspend, battery, and re-executing the process."""
