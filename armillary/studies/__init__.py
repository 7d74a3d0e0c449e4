"""End-to-end jobs that join the parts."""
