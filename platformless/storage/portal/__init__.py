"""An S5 portal for one machine: a folder of blobs behind S5's HTTP interface."""
