"""Scenes as code: a name and a seed give a scene, the same one each time."""
