"""Model directories: where they are and what they hold."""
