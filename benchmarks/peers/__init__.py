"""What benchmarks compare with, where it needs an environment of its own. Reads nothing, writes nothing."""
