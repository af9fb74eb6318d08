"""Scenes as files: what they are made of, their compiled states, and a folder of them to choose from."""
