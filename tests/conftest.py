"""What holds for every test: Ctrl-C works, also where the shell that started the tests ignores it (in the background, in some CI)."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
