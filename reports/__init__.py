"""Renders results. Computes no statistics."""
