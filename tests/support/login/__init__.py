"""A login of a temporary user with a real systemd."""
