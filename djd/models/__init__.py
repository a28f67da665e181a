"""Batches to grades: networks, losses, the LightningModule."""
