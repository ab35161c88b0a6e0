"""A full-size Parakeet with random weights: its running costs are those of the real model, its text is meaningless."""
