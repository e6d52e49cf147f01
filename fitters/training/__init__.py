"""Training: one loop for all fitters that learn by gradients, with its batches, checkpoints and table of cells."""
