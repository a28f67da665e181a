"""Figures that a statistician would sign: intervals, the best set, effects, what choosing costs.

Pure functions of arrays. A knee is not a sample; a patient is: the two knees of one patient are
alike, so patients are drawn, each with all of their knees.
"""
