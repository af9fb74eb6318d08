"""Drawing passes: each turns one kind of content into one framebuffer. `World`s are drawn through them."""
