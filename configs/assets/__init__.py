"""The demo world that OpenVolume ships, and the program that makes it."""
