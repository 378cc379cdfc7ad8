"""Claims about both halves of the project, on real parts."""
