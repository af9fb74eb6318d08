"""A library that draws frame plans: Renderer(device).draw(plan) gives canvases; the twin proves them."""
