"""The doctor, before parts that are really broken."""
