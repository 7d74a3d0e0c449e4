"""Video diffusion worlds: whole chunks of video and actions drawn at once by one transformer, whose modes are masks."""
