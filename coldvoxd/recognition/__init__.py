"""Fault-tolerant recognition: priorities, hot swap, failover to the CPU and back, hedging and standby."""
