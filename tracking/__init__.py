"""Camera tracking: protocols, histories, prediction, health, simulated moves."""
