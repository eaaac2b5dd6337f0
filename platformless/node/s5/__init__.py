"""The commands `s5` and `s5-portal`: blobs, and a portal on this machine."""
