"""Private message buses and what is on them: clients, services of a desktop, strangers."""
