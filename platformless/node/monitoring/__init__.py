"""What a node tells about itself: health, metrics, signals for scaling."""
