"""Semi-supervised video segmentation: J and F of masks that a network made or that lie on disk."""
