"""Test infrastructure: real buses, real audio servers, real speech."""
