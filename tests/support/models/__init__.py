"""A model hub on the loopback address, and models small enough to follow manually."""
