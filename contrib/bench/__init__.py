"""The benchmark suite: this project beside its peers, in one run, on the same weights and recordings (see ../bench.sh)."""
