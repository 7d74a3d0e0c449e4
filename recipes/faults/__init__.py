"""What the study of planted faults plants, and in what."""
