"""The app's own components: the editor with the queue, and the gallery of pictures."""
