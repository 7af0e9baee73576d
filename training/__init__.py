"""Training and comparison of the networks: atlas -> synthetic CT -> one loop -> evaluation."""
