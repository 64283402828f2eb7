"""The DAVIS interactive protocol: a simulated user corrects videos round after round."""
