"""A block's training step in few passes over memory.

At the size of a knee a step is bound by memory: between two convolutions, plain layers read and
write each activation about ten times, `passes.c` once or twice.
"""
