"""The browser: a world that a person can walk into, over HTTP and a WebSocket on this machine's own address."""
