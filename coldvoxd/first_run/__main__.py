"""The process that measures, for coldvoxctl."""

from coldvoxd.first_run.worker import main

if __name__ == "__main__":
    main()
