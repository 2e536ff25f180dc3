"""The demo: galaxies of the Hubble eXtreme Deep Field."""
