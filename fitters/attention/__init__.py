"""Attention: transformers over gene tokens, pretrained on unperturbed cells and told of perturbations afterwards."""
