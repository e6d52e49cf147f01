"""Graph fitters: what is known of one perturbed gene is passed on to its neighbours in a graph of genes."""
