"""What a person runs first: it tries everything that the server needs, and changes nothing."""
