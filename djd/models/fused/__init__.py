"""A block's training step in few passes over memory.

At the size of a knee a step is bound by memory, not by arithmetic: between two convolutions, plain
layers read and write each activation about ten times. `passes.c` does the same work in one or two
passes, `compiled` builds it with the machine's own C compiler, `fused` holds the derivatives. Where
there is no compiler, the network's plain layers do the same, slower.
"""
