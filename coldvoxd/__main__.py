"""The entry point of coldvoxd. It imports nothing heavy, so that an interrupt finds its handler at once."""

from coldvoxd import console


def main() -> None:
    """Run the daemon and end the process with its exit code."""
    console.exit_on_interrupt()
    console.log_python_warnings()
    from coldvoxd.command import main as run

    console.raise_on_interrupt()
    run()


if __name__ == "__main__":
    main()
