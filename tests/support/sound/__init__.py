"""Private sound servers, recorded speech and other sound."""
