"""The only place where store, detectors and formats meet: what the commands and the app call."""
