"""What coldvoxd knows without touching the world: values, errors, seams, state machines and mathematics."""
