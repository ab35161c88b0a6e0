"""Private message buses and their participants: clients, desktop services, and unrelated programs."""
