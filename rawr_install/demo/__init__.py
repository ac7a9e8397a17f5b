"""The tour, and the sample workspace that it walks through. The command line comes in; start with ``tour``."""
