"""Measures and protocols of the field: IoU/J, F, NoC for clicks, J&F for video."""
