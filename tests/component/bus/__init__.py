"""The service on a real, private bus."""
