"""Which operators a model becomes, before it is converted: from a live model and from a saved configuration."""
