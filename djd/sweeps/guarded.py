"""Imported first by the fork server, before what takes seconds.

The server is deaf to Ctrl-C, which is for the process that started it, and ends with that process;
with the server end its cells.
"""

import signal

from djd.machine import die_with_parent

signal.signal(signal.SIGINT, signal.SIG_IGN)
die_with_parent()
