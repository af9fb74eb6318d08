"""glTF 2.0 reader: files become plain arrays (`model`), nothing here touches the GPU. Start at `loader.load`."""
