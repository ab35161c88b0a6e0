"""The benchmark suite: compares coldvoxd with its peers in one run on equal weights and recordings (see ../bench.sh)."""
