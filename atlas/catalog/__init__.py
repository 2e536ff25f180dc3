"""The catalogue: columns, identities, histograms, sort orders, words for clusters."""
