"""What plugs into Hydra: the sweeper of comparisons, and the launcher that runs their cells.

Hydra imports everything here at every start: nothing heavy stands at the top of a module.
"""
