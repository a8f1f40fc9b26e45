"""The control socket: its orders, who serves them and who gives them."""
