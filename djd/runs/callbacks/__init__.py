"""What watches a training: recorder, checkpoints, progress, TensorBoard."""
