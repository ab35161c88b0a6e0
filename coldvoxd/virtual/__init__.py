"""Shipped stand-ins for hardware, commanded over a socket."""
