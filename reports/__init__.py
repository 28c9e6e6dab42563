"""How results are shown. Computes no statistics."""
