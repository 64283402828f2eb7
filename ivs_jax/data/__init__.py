"""Images and videos to learn from, to test on and to show."""
