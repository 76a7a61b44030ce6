"""Fashion-MNIST from data to report: fetch, train, explain, aggregate, test, show."""
