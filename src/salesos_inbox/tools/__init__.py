"""What the model can do: one typed function per tool, all of them in `catalogue`."""
