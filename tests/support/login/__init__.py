"""A login of a throw-away user with a real systemd."""
