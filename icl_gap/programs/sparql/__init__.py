"""SPARQL, as CFQ writes it."""
