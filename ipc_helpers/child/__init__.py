"""What runs in a child around its worker, or looks at it there: the standard library alone."""
