"""Semi-mechanistic fitters: fields of differential equations, learned with as much or as little form as wanted."""
