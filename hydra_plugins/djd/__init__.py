"""Plugins for Hydra: the sweeper of comparisons, and the launcher that runs their cells.

Hydra imports every module here without a leading underscore at every start, so these modules
import nothing heavy at their top.
"""
