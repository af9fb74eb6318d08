"""The control plane over HTTP and WebSocket: resources, events, previews, metrics."""
