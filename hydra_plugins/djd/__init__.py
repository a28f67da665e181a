"""What plugs into Hydra: the sweeper of comparisons, and the launcher that runs their cells.

Hydra imports every module here at every start, but those whose names begin with an underscore:
nothing heavy stands at the top of the others.
"""
