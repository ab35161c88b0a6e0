"""coldvoxctl only: rewrites a model into the form that the CPU maps instead of loading."""
