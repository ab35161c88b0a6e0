"""The composition root: builds the parts of the daemon and connects them to each other."""
