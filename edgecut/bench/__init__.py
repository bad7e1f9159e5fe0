"""Numbers: measured, simulated or estimated, never without saying which."""
