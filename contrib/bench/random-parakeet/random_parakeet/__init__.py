"""A Parakeet of full size with random weights: what it costs to run is the real one's, what it hears is nonsense."""
