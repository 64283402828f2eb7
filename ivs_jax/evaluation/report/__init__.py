"""Reports of evaluations: sections, and what is written from them."""
