"""A recognizer that survives its hardware: priorities, failover to the CPU, hedging, standby and the way back."""
