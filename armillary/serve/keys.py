"""Who may come in: a key that is printed and works once, and the cookie that it is exchanged for."""

import hmac
import secrets
import threading

MAX_BROWSERS = 256


class Keys:
    """One key at a time opens the door; used, it is replaced by another. What a browser then holds lasts as long as the server."""

    def __init__(self):
        self._lock = threading.Lock()
        self._key = secrets.token_urlsafe(24)
        self._browsers: list[str] = []

    @property
    def key(self) -> str:
        """The key that works now."""
        with self._lock:
            return self._key

    def exchange(self, key: str) -> str | None:
        """A browser's own secret for the key, which then no longer works; None for a wrong one."""
        with self._lock:
            if not hmac.compare_digest(key.encode(errors="replace"), self._key.encode()) or len(self._browsers) >= MAX_BROWSERS:
                return None
            self._key = secrets.token_urlsafe(24)
            self._browsers.append(secrets.token_urlsafe(24))
            return self._browsers[-1]

    def knows(self, secret: str) -> bool:
        """Whether a browser was given this secret."""
        given = secret.encode(errors="replace")
        with self._lock:
            return any([hmac.compare_digest(given, one.encode()) for one in self._browsers])
