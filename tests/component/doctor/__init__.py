"""The doctor, examining parts that are really broken."""
