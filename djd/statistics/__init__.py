"""Intervals, the best set, effects and the cost of choosing, as pure functions of arrays.

The two knees of a patient are alike, so patients are drawn, each with all knees of the patient.
"""
