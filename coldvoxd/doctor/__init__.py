"""What `coldvoxctl doctor` looks at, without needing a daemon that runs."""
