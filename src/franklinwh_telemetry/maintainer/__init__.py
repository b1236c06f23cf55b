"""For maintainers: what to read out of the events once they have arrived; nothing here runs on a user's machine."""
