"""Clients of other bus services: logind, UPower, systemd, screen locks, portals, notifications."""
