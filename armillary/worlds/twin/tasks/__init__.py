"""Tasks in twins: what is to be done, how good a moment is, when it is done, and experts that know the truth."""
