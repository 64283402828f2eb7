"""NoC: how many clicks of a robot until the mask of an object is good enough."""
