"""What is asked of other services on the bus: logind, UPower, screen locks, portals, notifications."""
