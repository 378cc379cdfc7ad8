"""What a file may hold, named by the entry's `kind`: problems in a table, topics of a forum."""
