"""Recognition that survives hardware faults: priorities, hot swap, failover to the CPU and back, hedging and standby."""
