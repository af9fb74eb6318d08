"""Readers for the surfaces of mesh walls."""
