"""What every method is made of: models, scores, targets, sampling, quadrature, masks and maps of one example."""
