"""How fast a measured sequence of gaps converges."""
