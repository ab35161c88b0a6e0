"""Host integration: systemd, suspend, battery, screen lock, and replacing the process."""
