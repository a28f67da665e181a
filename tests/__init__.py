"""Tests; set here, before NumPy is loaded, for this process and all that tests start."""

import os

# Two threads of the linear algebra wait for each other longer than they work at these sizes: the
# tests of baselines and intervals took twice the processor's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
