"""Plans, and when flows are due. Pure: text and numbers in, values out."""
