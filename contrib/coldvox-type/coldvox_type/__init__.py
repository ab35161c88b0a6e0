"""coldvox-type: what coldvoxd transcribes, typed into the window that has the focus."""
