"""Who is served, and how much of it: addresses, wallets, rates and sizes."""
