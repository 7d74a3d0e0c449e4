"""Episodes on disk, video in and out, the frame cache and the windows that training reads."""
