"""Export formats: one module each, with the writer, the session that plays the file, and the file's name."""
