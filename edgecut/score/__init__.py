"""How right outputs are, how near to others, and how sure that is: each figure defined once. NumPy alone."""
