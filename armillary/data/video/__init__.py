"""Video in and out. Files are decoded in a resource-limited child process; see docs of `decode_video`."""

# Lazy on purpose: the decode child imports this package too, and must start without torch.
_HOME = {
    "VideoInfo": "armillary.data.video.decode",
    "VideoLimits": "armillary.data.video.limits",
    "decode_video": "armillary.data.video.decode",
    "encode_video": "armillary.data.video.encode",
    "probe_video": "armillary.data.video.decode",
}
__all__ = list(_HOME)


def __getattr__(name: str):
    from importlib import import_module

    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)
