"""One file is one group of `sources:`, one folder a group of kinds; a class `Source` holds the fields of an entry and writes its rows."""
