"""The deployment guide's commands, as an operator types them."""
