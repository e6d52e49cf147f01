"""Variational auto-encoders of counts: perturbations shift the latent state of cells."""
