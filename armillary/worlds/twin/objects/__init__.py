"""Parametric object families: content as code. A family and a seed give an asset, the same one each time."""
