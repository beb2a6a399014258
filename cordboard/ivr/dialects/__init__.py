"""The forms in which call flows are written: our own files and the JSON of each vendor."""
