"""What is to be measured: plans, and when flows are due. Pure: text and numbers in, values out."""
