"""A component that does nothing but keep in step: what is left is the cost of the replay itself."""

from components import connect

if __name__ == "__main__":
    with connect() as replay:
        for _snapshot in replay.snapshots():
            pass
