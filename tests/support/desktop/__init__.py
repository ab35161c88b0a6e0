"""Windows without a screen, the typing client in them, and the front ends' JavaScript."""
