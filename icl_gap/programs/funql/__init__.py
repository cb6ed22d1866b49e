"""FunQL, the language of GeoQuery."""
