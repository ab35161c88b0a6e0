"""What the tests stand on: real buses, real audio servers, real speech."""
